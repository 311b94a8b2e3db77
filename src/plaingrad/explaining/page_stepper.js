// First, back, play and forward: by button, and by key while what is played is in sight.

const STEPPING = { by: null };

/**
 * Plays what goes in steps. `moves` are first, back and forward, of which forward tells whether there was a step left;
 * `wait` gives the milliseconds between two steps that are played.
 */
class Stepper {
  constructor(moves, wait) {
    stopPlaying();
    Object.assign(this, { moves, wait, timer: null });
    this.play = quietButton("Play", () => this.toggle(), { "aria-keyshortcuts": "Space" });
    const button = (label, move, keys) => quietButton(label, () => this.go(move), { "aria-keyshortcuts": keys });
    this.buttons = [
      button("First", "first", "Home"),
      button("Back", "back", "ArrowLeft"),
      this.play,
      button("Forward", "forward", "ArrowRight"),
    ];
    STEPPING.by = this;
  }

  /** A step by hand ends playing. */
  go(move) {
    this.stop();
    this.moves[move]();
  }

  toggle() {
    if (this.timer) return this.stop();
    if (!this.moves.forward()) this.moves.first();
    this.start();
  }

  start() {
    this.play.textContent = "Pause";
    this.timer = setInterval(() => this.moves.forward() || this.stop(), this.wait());
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = "Play";
  }

  /** After the time between two steps was changed. */
  again() {
    if (!this.timer) return;
    this.stop();
    this.start();
  }
}

function stopPlaying() {
  STEPPING.by?.stop();
}

const STEP_KEYS = { Home: "first", ArrowLeft: "back", ArrowRight: "forward" };

/** Keys step unless what has the focus needs them itself: a slider, a list, a map; space presses buttons. */
function pressStep(event) {
  const { by } = STEPPING;
  const { target, key } = event;
  if (!by?.play.checkVisibility() || event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.matches("input, select, textarea, canvas, summary") || (key === " " && target.matches("button, a")))
    return;
  const isHere = target === document.body || byId("stage").contains(target);
  if (!isHere || !(key in STEP_KEYS || key === " ")) return;
  event.preventDefault();
  if (key === " ") by.toggle();
  else by.go(STEP_KEYS[key]);
}

document.addEventListener("keydown", pressStep);

/** Who opened a tab by key goes on with the keys of what is played there. */
function takeFocus(tab) {
  if (document.activeElement?.dataset.tab === tab) STEPPING.by?.play.focus({ preventScroll: true });
}
