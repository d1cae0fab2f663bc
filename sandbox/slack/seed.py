"""The team that the practice estate starts with."""

from .model import Channel, Note, User, UserGroup

TEAM_ID, APP_ID, BOT_USER, BOT_ID = "T0VALUE", "A0BOT", "U0BOT", "B0BOT"
EMAIL_DOMAIN = "valuecanvas.example"

_PEOPLE = (
    ("U0ANA", "Ana Ortiz", "On-call engineer", "b3541e"),
    ("U0BEN", "Ben Adler", "Second on-call engineer", "2f6f9f"),
    ("U0CHLOE", "Chloe Martin", "Engineering manager", "7a4fa3"),
    ("U0DEV", "Dev Patel", "CTO", "1d7a5f"),
    ("U0EVA", "Eva Lind", "Infrastructure", "a03d6b"),
    ("U0FRANK", "Frank Osei", "CEO", "8a6d1b"),
    ("U0GRACE", "Grace Kim", "Support", "4a6b2a"),
)
_CHANNELS = (
    ("C0GENERAL", "general", "Everybody, everything"),
    ("C0INCIDENTS", "incidents", "One line per incident"),
    ("C0STATUS", "status", "What customers are told"),
    ("C0ENGINEER", "engineering", "Engineering talk"),
)
_BOT_IN = ("C0INCIDENTS", "C0STATUS")


def users(bot_name: str, app_name: str) -> dict[str, User]:
    """The seven people and the app's bot user."""
    people = {
        id_: User(id_, first, real_name, f"{first}@{EMAIL_DOMAIN}", title, color)
        for id_, real_name, title, color in _PEOPLE
        if (first := real_name.split()[0].lower())
    }
    people[BOT_USER] = User(BOT_USER, bot_name, app_name, "", "", "3a4754", is_bot=True)
    return people


def channels(now: int) -> dict[str, Channel]:
    """The four public channels; all people are in all of them, the bot in two."""
    made = {}
    for id_, name, purpose in _CHANNELS:
        members = dict.fromkeys(person[0] for person in _PEOPLE)
        if id_ in _BOT_IN:
            members[BOT_USER] = None
        made[id_] = Channel(id_, name, "channel", now, "U0ANA", members, purpose=Note(purpose, "U0ANA", now))
    return made


def usergroups() -> dict[str, UserGroup]:
    """Who may run actions, and who may approve them."""
    return {
        "S0RESPOND": UserGroup(
            "S0RESPOND", "responders", "Responders", ["U0ANA", "U0BEN", "U0CHLOE", "U0DEV", "U0EVA"]
        ),
        "S0APPROVE": UserGroup("S0APPROVE", "approvers", "Approvers", ["U0CHLOE", "U0DEV", "U0EVA"]),
    }
