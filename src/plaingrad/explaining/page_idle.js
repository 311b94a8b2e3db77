// What is done while nothing is asked for: small tasks, a few at a time, so that no click waits long for them.

const IDLE = { tasks: [], isWaiting: false };
const IDLE_TIME = 20; // milliseconds after which the tasks that are left wait once more

/** Does a task once the browser has nothing else to do, after those that were asked for before. */
function whenIdle(task) {
  IDLE.tasks.push(task);
  waitForIdle();
}

function waitForIdle() {
  if (IDLE.isWaiting || !IDLE.tasks.length) return;
  IDLE.isWaiting = true;
  const ask = globalThis.requestIdleCallback ?? ((task) => setTimeout(task, IDLE_TIME)); // Safari has none
  ask(() => {
    IDLE.isWaiting = false;
    const started = performance.now();
    try {
      while (IDLE.tasks.length && performance.now() - started < IDLE_TIME) IDLE.tasks.shift()();
    } finally {
      waitForIdle();
    }
  });
}
