// Seconds that somebody really spent here: the page in sight, and a hand or an eye on it within the last minute.

const IDLE = 60_000;
const SIGNS = ["pointerdown", "pointermove", "keydown", "scroll", "wheel", "touchstart", "input"];

export class Clock {
  constructor(seconds = 0) {
    this.seconds = seconds;
    this.last = performance.now();
    this.active = this.last;
    for (const sign of SIGNS) addEventListener(sign, () => (this.active = performance.now()), { passive: true, capture: true });
    setInterval(() => this.read(), 1000);
  }

  read() {
    const now = performance.now();
    if (!document.hidden && now - this.active < IDLE) this.seconds += Math.min(now - this.last, 5000) / 1000;
    this.last = now;
    return Math.round(this.seconds * 10) / 10;
  }
}
