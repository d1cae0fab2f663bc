/** When things are drawn and fetched: never under a pressed finger, never twice at once. */

let pressed = false;
const waiting = new Set();

addEventListener("pointerdown", () => (pressed = true), true);
for (const end of ["pointerup", "pointercancel", "dragend", "blur"]) addEventListener(end, released, true);

function released() {
  pressed = false;
  // The click itself comes right after the finger is up.
  setTimeout(() => {
    for (const draw of [...waiting]) whenReleased(draw);
  });
}

/** Draw now, or, while a button is held down, as soon as it is not: a control replaced in between would lose its click. */
export function whenReleased(draw) {
  if (pressed) return void waiting.add(draw);
  waiting.delete(draw);
  return draw();
}

/**
 * Make `work` run one at a time: asked again meanwhile, it runs once more afterwards. However often it is asked, every
 * run is finished and shown. The promise is done when nothing more is due.
 * @param {() => Promise<void>} work
 * @returns {() => Promise<void>}
 */
export function oneAtATime(work) {
  let running = null;
  let due = false;
  const run = async () => {
    try {
      while (due) {
        due = false;
        await work();
      }
    } finally {
      running = null;
    }
  };
  return () => {
    due = true;
    running ??= run();
    return running;
  };
}
