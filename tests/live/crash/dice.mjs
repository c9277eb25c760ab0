// dice.mjs - choices that come again with the same seed (mulberry32). When the server is killed and
// in which order answers come does not: another run with a seed is like the first, not the same.
export class Dice {
  constructor(seed) {
    this.state = seed >>> 0;
  }

  /** 0 <= number < 1 */
  next() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** An integer, 0 <= number < most. */
  below(most) {
    return Math.floor(this.next() * most);
  }

  chance(likely) {
    return this.next() < likely;
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  /** One of [weight, value], by weight. */
  weighed(list) {
    let left = this.next() * list.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, value] of list) {
      left -= weight;
      if (left < 0) return value;
    }
    return list[list.length - 1][1];
  }
}
