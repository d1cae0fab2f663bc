"""Runs on a real store: approved is what runs, no step twice, and a true word at the end, whatever dies in between."""

import asyncio
from datetime import timedelta

import pytest

from bot.action import NotVerified
from bot.chat import RunCard
from bot.clock import Pace
from bot.errors import NotAllowed, NotFound, NotNow, RecoveryError, Refused, Unavailable
from bot.rules import run_rules_of
from bot.run import RunState, StepState
from handlers.cards import draw
from tests.store.given import Clock, declared, opened, sql
from tests.store.levers import ANA, CHLOE, DEV, GRACE, TO, Scene, World, open_room, replica, stage, until
from tests.unit.given import NOW, estate


async def test_an_approved_plan_runs_is_verified_and_written_down(database: str) -> None:
    """Asked for, planned, approved by another, run step by step, proven: all of it on the timeline, the locks free."""
    async with stage(database) as it:
        number = await it.asks()
        await it.approves(number, CHLOE)
        run = await it.becomes(number, RunState.SUCCEEDED)
        assert it.world.did == {"a": 1, "b": 1, "c": 1}
        assert [s.state for s in run.steps] == [StepState.DONE] * 3
        assert run.outcome == "the lamp is lit"
        assert sql(database, "select * from run_lock") == []
        said = [kind for kind in await it.kinds() if kind.startswith("run_")]
        assert said == ["run_requested", "run_planned", "run_approved", *["run_step"] * 3, "run_ended"]


async def test_a_plan_changes_nothing(database: str) -> None:
    """Between asking and approving no lever moves."""
    async with stage(database) as it:
        await it.asks()
        assert not it.world.did


async def test_a_plan_that_is_not_possible_says_why(database: str) -> None:
    """The refusal is the outcome of the run, in the action's own words; nothing can be approved then."""
    async with stage(database, World(possible=False)) as it:
        number = await it.asks()
        run = await it.run(number)
        assert (run.state, run.outcome) == (RunState.REFUSED, "the levers are locked away")
        with pytest.raises(NotNow, match="not possible now"):
            await it.approves(number, CHLOE)


async def test_who_asked_is_not_the_second_person(database: str) -> None:
    """High risk: the requester's own yes is refused, although they are an approver."""
    async with stage(database) as it:
        number = await it.asks(by=CHLOE)
        with pytest.raises(NotAllowed, match="somebody else"):
            await it.approves(number, CHLOE)
        assert (await it.run(number)).votes == ()


async def test_only_approvers_approve(database: str) -> None:
    """A responder cannot approve high risk, and who is neither cannot even ask."""
    async with stage(database) as it:
        number = await it.asks(by=CHLOE)
        with pytest.raises(NotAllowed, match="Only approvers"):
            await it.approves(number, ANA)
        with pytest.raises(NotAllowed, match="Only responders"):
            await it.asks(by=GRACE)


async def test_unreadable_membership_is_a_no(database: str) -> None:
    """Nobody approves while Slack cannot say who the approvers are; the reason is in the refusal."""
    async with stage(database) as it:
        number = await it.asks()
        it.wall.readable = False
        it.access._read.clear()  # noqa: SLF001  a minute later
        with pytest.raises(NotAllowed, match="could not read"):
            await it.approves(number, CHLOE)


async def test_low_risk_may_be_approved_by_who_asked(database: str) -> None:
    """One responder, the requester too."""
    async with stage(database) as it:
        number = await it.asks("levers.nudge")
        await it.approves(number, ANA)
        await it.becomes(number, RunState.SUCCEEDED)


async def test_critical_risk_needs_two_others(database: str) -> None:
    """One yes is not enough, the same person's second yes is none, and two people in the same moment count once each."""
    async with stage(database) as it:
        number = await it.asks("levers.overthrow")
        await it.approves(number, CHLOE)
        with pytest.raises(NotNow, match="already"):
            await it.approves(number, CHLOE)
        assert (await it.run(number)).state is RunState.PROPOSED
        await it.approves(number, DEV)
        await it.becomes(number, RunState.SUCCEEDED)


async def test_two_approvers_in_the_same_moment_count_once_each(database: str) -> None:
    """Both clicks land; the run starts once."""
    async with stage(database) as it:
        number = await it.asks("levers.overthrow")
        await asyncio.gather(it.approves(number, CHLOE), it.approves(number, DEV))
        run = await it.becomes(number, RunState.SUCCEEDED)
        assert {vote.who.id for vote in run.votes} == {CHLOE.id, DEV.id}
        assert it.world.did == {"a": 1, "b": 1, "c": 1}


async def test_an_old_card_approves_nothing(database: str) -> None:
    """A yes is to the plan on the card: with another digest it is refused."""
    async with stage(database) as it:
        number = await it.asks()
        with pytest.raises(NotNow, match="has changed"):
            await it.approves(number, CHLOE, "0" * 64)


async def test_drift_voids_the_approval_and_shows_what_moved(database: str) -> None:
    """What decides has moved between plan and run: nothing runs, the new plan waits, the card names the difference."""
    async with stage(database) as it:
        number = await it.asks()
        it.world.name = "second"
        await it.approves(number, CHLOE)
        await until(lambda: _drifted(it, number))
        run = await it.run(number)
        assert run.plan is not None
        assert (list(run.plan.drift), run.votes) == (["name: first → second"], ())
        assert not it.world.did
        assert sql(database, "select * from run_lock") == []
        await it.approves(number, CHLOE)
        await it.becomes(number, RunState.SUCCEEDED)


async def test_what_speaks_against_it_under_the_locks_voids_the_approval(database: str) -> None:
    """It was approved; then only an override will do: nothing runs, the card says why, and an approval is refused."""
    async with stage(database) as it:
        number = await it.asks()
        it.world.against = "The levers are hot."
        await it.approves(number, CHLOE)
        await until(lambda: _drifted(it, number))
        run = await it.run(number)
        assert run.plan is not None
        assert list(run.plan.drift) == ["an approval does not suffice any more: The levers are hot."]
        assert not it.world.did
        with pytest.raises(NotAllowed, match="The levers are hot"):
            await it.approves(number, CHLOE)


async def _drifted(it: Scene, number: int) -> bool:
    run = await it.run(number)
    return run.state is RunState.PROPOSED and bool(run.plan and run.plan.drift)


async def test_the_progress_card_of_a_drifted_run_says_so_and_is_used_again(database: str) -> None:
    """It stood already when the approval became void: it says that nothing ran, and shows the run that is approved next."""
    async with stage(database, World(stop_at="plan")) as it:
        number = await it.asks()
        await it.approves(number, CHLOE)
        await it.world.reached.wait()
        await until(lambda: _shown(it, RunState.RUNNING, RunState.RUNNING))
        it.world.name = "second"
        it.world.stop_at = ""
        it.world.go_on.set()
        await until(lambda: _shown(it, RunState.PROPOSED, RunState.PROPOSED))
        void = str(draw(next(c for c in _cards(it) if c.progress)))
        for words in ("nothing ran, the approval is void", "name: first → second", "approved again"):
            assert words in void
        assert "recover_stop" not in void
        await it.approves(number, CHLOE)
        await until(lambda: _shown(it, RunState.SUCCEEDED, RunState.SUCCEEDED))


def _cards(it: Scene) -> list[RunCard]:
    return [card for card in it.wall.cards.values() if isinstance(card, RunCard)]


async def _shown(it: Scene, *states: RunState) -> bool:
    """One plan card and one progress card, each in its state."""
    return [(c.progress, c.run.state) for c in _cards(it)] == list(zip((False, True), states, strict=True))


async def test_one_run_on_a_target(database: str) -> None:
    """The loser reads who holds it, for what, since when; when it is free again, the same yes works."""
    async with stage(database, World(stop_at="before a")) as it:
        first, second = await it.asks(), await it.asks(by=DEV)
        await it.approves(first, CHLOE)
        await it.world.reached.wait()
        with pytest.raises(NotNow, match=f"the levers is held by RUN-{first} .levers.pull, asked for by Ana. since"):
            await it.approves(second, CHLOE)
        assert (await it.run(second)).state is RunState.PROPOSED
        it.world.stop_at = ""
        it.world.go_on.set()
        await it.becomes(first, RunState.SUCCEEDED)
        await it.approves(second, CHLOE)
        await it.becomes(second, RunState.SUCCEEDED)


async def test_a_plan_expires(database: str) -> None:
    """After ten minutes a yes is refused, and the run says that nobody approved in time."""
    clock = Clock(NOW)
    async with opened(database, clock) as store:
        await declared(store)
        open_room(database)
        it = Scene(store, World(), clock)
        async with replica(database, it):
            number = await it.asks()
            clock.go(601)
            with pytest.raises(NotNow, match="expired"):
                await it.approves(number, CHLOE)
            await it.becomes(number, RunState.EXPIRED)


async def test_break_glass(database: str) -> None:
    """Not before three minutes; then the requester alone, with a reason: it runs, the ladder climbs, the timeline says so."""
    clock = Clock(NOW)
    async with opened(database, clock) as store:
        await declared(store)
        open_room(database)
        it = Scene(store, World(), clock)
        async with replica(database, it):
            number = await it.asks()
            with pytest.raises(NotNow, match="opens in 3 min"):
                await it.says("override", number, ANA, "nobody answers")
            clock.go(181)
            with pytest.raises(NotAllowed, match="Only Ana"):
                await it.says("override", number, DEV, "nobody answers")
            with pytest.raises(NotNow, match="Say why"):
                await it.says("override", number, ANA, "")
            await it.says("override", number, ANA, "nobody answers")
            await it.becomes(number, RunState.SUCCEEDED)
            kinds = await it.kinds()
            assert kinds.count("break_glass") == kinds.count("escalated") == 1
            assert (await it.desk.case(1)).ladder.next.level == 3  # type: ignore[union-attr]


async def test_a_no_ends_it(database: str) -> None:
    """Rejected with a reason, which is the outcome; without one it is refused."""
    async with stage(database) as it:
        number = await it.asks()
        with pytest.raises(NotNow, match="Say why"):
            await it.says("reject", number, DEV, "")
        await it.says("reject", number, DEV, "wrong levers")
        run = await it.run(number)
        assert (run.state, run.outcome) == (RunState.REJECTED, "rejected by Dev: wrong levers")


async def test_a_closed_incident_starts_nothing(database: str) -> None:
    """Neither a new plan nor an old one's approval."""
    async with stage(database) as it:
        number = await it.asks()
        await asyncio.to_thread(sql, database, "update incident set status = 'closed'")
        with pytest.raises(NotNow, match="closed"):
            await it.asks()
        with pytest.raises(NotNow, match="closed"):
            await it.approves(number, CHLOE)


async def test_undo_goes_back_last_first(database: str) -> None:
    """Everything that was begun is put back, and the run is undone."""
    async with stage(database) as it:
        number = await it.asks()
        await it.approves(number, CHLOE)
        await it.becomes(number, RunState.SUCCEEDED)
        await it.says("undo", number, CHLOE)
        await it.becomes(number, RunState.UNDONE)
        assert it.world.on == set()
        with pytest.raises(NotNow, match="undone already"):
            await it.says("undo", number, CHLOE)


async def test_a_point_of_no_return_is_one(database: str) -> None:
    """Once the one-way lever was begun, undo is refused with its name."""
    async with stage(database) as it:
        number = await it.asks(final="b")
        await it.approves(number, CHLOE)
        await it.becomes(number, RunState.SUCCEEDED)
        with pytest.raises(NotNow, match="“Pull b” is a point of no return: it is a one-way lever"):
            await it.says("undo", number, CHLOE)


async def test_a_clear_no_fails_the_run_and_says_what_is_half_done(database: str) -> None:
    """The steps that were done and those that were not are named; nothing is tried again."""
    async with stage(database, World(trouble={"b": [("before", Refused("it is rusted"))]})) as it:
        number = await it.asks()
        await it.approves(number, CHLOE)
        run = await it.becomes(number, RunState.FAILED)
        assert run.outcome == "“Pull b” failed: it is rusted. Done: Pull a. Not done: Pull c."
        assert it.world.did == {"a": 1}


@pytest.mark.parametrize(("when", "pulled"), [("before", 1), ("after", 1)])
async def test_no_answer_is_probed_before_it_is_repeated(database: str, when: str, pulled: int) -> None:
    """A call whose answer was lost is not made twice; one that was not made is made again."""
    async with stage(database, World(trouble={"b": [(when, Unavailable("no answer"))]})) as it:
        number = await it.asks()
        await it.approves(number, CHLOE)
        await it.becomes(number, RunState.SUCCEEDED)
        assert it.world.did["b"] == pulled


@pytest.mark.parametrize(("untidy", "says"), [(False, "c was put back."), (True, "not taken away (ZeroDivisionError)")])
async def test_a_step_that_failed_is_tidied_up(database: str, untidy: bool, says: str) -> None:
    """What it left is taken away, once, and the card says what became of it, also when that went wrong."""
    async with stage(database, World(trouble={"c": [("after", Refused("it is rusted"))]}, untidy=untidy)) as it:
        number = await it.asks()
        await it.approves(number, CHLOE)
        run = await it.becomes(number, RunState.FAILED)
        assert f"“Pull c” failed: it is rusted. {'' if untidy else says}" in run.outcome
        assert says in run.outcome
        assert "secret" not in run.outcome
        assert ("c" in it.world.on) is untidy


async def test_what_nobody_can_tell_is_unknown(database: str) -> None:
    """No answer, and the probe cannot tell either: the run stops as unknown, and calls a human."""
    async with stage(database, World(trouble={"b": [("after", Unavailable("no answer"))]}, blind=True)) as it:
        number = await it.asks()
        await it.approves(number, CHLOE)
        run = await it.becomes(number, RunState.UNKNOWN)
        assert "A human must look" in run.outcome
        assert it.world.did == {"a": 1, "b": 1}


async def test_a_bug_in_an_action_ends_in_a_word(database: str) -> None:
    """An exception that is none of ours fails the run without a traceback on the card."""
    async with stage(database, World(trouble={"b": [("before", ZeroDivisionError("secret"))]})) as it:
        number = await it.asks()
        await it.approves(number, CHLOE)
        run = await it.becomes(number, RunState.FAILED)
        assert "internal error (ZeroDivisionError)" in run.outcome
        assert "secret" not in run.outcome


@pytest.mark.parametrize(
    "error", [NotVerified("the lamp stays dark"), Unavailable("the lamp stays dark"), NotFound("the lamp stays dark")]
)
async def test_without_proof_it_is_not_called_a_success(database: str, error: RecoveryError) -> None:
    """Every step ran, the post-condition was not seen, or what it is seen by is gone: `ran but not verified`."""
    async with stage(database, World(no_proof=error)) as it:
        number = await it.asks()
        await it.approves(number, CHLOE)
        run = await it.becomes(number, RunState.UNVERIFIED)
        assert "the lamp stays dark" in run.outcome


async def test_the_cards_follow(database: str) -> None:
    """One plan card, one progress card, both in their last state."""
    async with stage(database) as it:
        number = await it.asks()
        await it.approves(number, CHLOE)
        await it.becomes(number, RunState.SUCCEEDED)

        await until(lambda: _shown(it, RunState.SUCCEEDED, RunState.SUCCEEDED))


async def test_the_median_of_what_succeeded(database: str) -> None:
    """The next plan says how long it took here, not what the runbook guesses."""
    async with stage(database) as it:
        for _ in range(2):
            number = await it.asks()
            await it.approves(number, CHLOE)
            await it.becomes(number, RunState.SUCCEEDED)
        number = await it.asks()

        async def said() -> bool:
            cards = [c for c in it.wall.cards.values() if isinstance(c, RunCard) and c.run.number == number]
            return bool(cards) and "the median of 2 runs" in cards[0].expected

        await until(said)


async def test_the_second_click_of_the_same_person_is_one_request(database: str) -> None:
    """A click that is processed twice makes one run."""
    async with stage(database, engines=0) as it:
        key = await it.click()
        action = it.catalogue.make("levers.pull", {})
        for _ in range(2):
            await it.recovery.request(key, 1, action, ANA, TO)  # type: ignore[arg-type]
        assert sql(database, "select count(*) from run") == [(1,)]


def test_times() -> None:
    """The shipped clocks: ten minutes until a plan expires, three until break-glass."""
    rules = run_rules_of(estate(), Pace())
    assert (rules.expiry, rules.break_glass_after) == (timedelta(minutes=10), timedelta(minutes=3))
