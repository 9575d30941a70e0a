// The commands that say what the config says: policies, the product, windows, freezes, limits, and when the story begins.
import { limits, policy, product, weekly } from './language.ts';
import { instant } from './show.ts';
import type { Command } from './watching.ts';
import { setPolicy } from './world.ts';

export const CONFIG_COMMANDS: Record<string, Command> = {
  /** `policy [patch|minor|major] waves=… steps=… …` */
  policy(world, words) {
    const named = words[0]?.includes('=') === false;
    setPolicy(world, policy(named ? (words[0] as string) : 'standard', named ? words.slice(1) : words));
    return [];
  },

  /** `product lag=1 accept=>=1.0.0 floor=1.5.0 requires=kernel>=5.10`: what the config says of the product itself. */
  product(world, words) {
    Object.assign(world.product, product(words));
    return [];
  },

  /** `windows us allow mon-thu 09:00-16:00 [deny tue 12:00-13:00] America/New_York` */
  windows(world, [region = '', ...words]) {
    const calendar = world.surroundings.calendars.find((one) => one.region === region);
    if (calendar === undefined) throw new Error(`no policy names ${region}`);
    for (let at = 0; at < words.length; ) {
      const [word, days, times] = words.slice(at, at + 3) as [string, string, string];
      if (word === 'allow' || word === 'deny') calendar.windows[word].push(weekly(days, times));
      else calendar.timeZone = word;
      at += word === 'allow' || word === 'deny' ? 3 : 1;
    }
    return [];
  },

  /** `freeze 2026-12-20 2027-01-02 [regions=eu,us] end of year` */
  freeze(world, [from = '', to = '', ...words]) {
    const of = words[0]?.startsWith('regions=') === true ? (words.shift() as string).slice('regions='.length) : null;
    const regions = of?.split(',') ?? null;
    world.surroundings.freezes = [...world.surroundings.freezes, { from, to, reason: words.join(' '), regions }];
    return [];
  },

  limits(world, words) {
    world.surroundings.limits = limits(words);
    return [];
  },

  /** `clock 2026-01-05T14:00Z`: when the story begins. */
  clock(world, [at = '']) {
    world.startAt = Date.parse(at);
    return [instant(world.startAt)];
  },
};
