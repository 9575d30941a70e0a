// All agents in memory, as columns by handle with interned strings: what check-ins and the census read instead of the database.
import type { Agent, Attempt, InstalledProduct } from '../domain/agent.ts';
import { isLive } from '../domain/attempt.ts';
import { isOccupying, type Place } from '../domain/limits.ts';
import type { Pin } from '../domain/pin.ts';
import { addSpent, type Spent } from '../domain/quarantine.ts';
import { hash32 } from '../domain/rank.ts';
import type { Facts } from '../domain/requirement.ts';
import { assert } from '../errors.ts';
import { eachIndex, eachPiece, type Pieces } from './pieces.ts';

const FIRST_CAPACITY = 1024;
/**
 * The database's last-seen times are for people, after a restart; while the server is up it asks its own memory. A row
 * for every check-in would cost as much as the check-in.
 */
const FLUSH_AGAIN_MS = 300_000;
/** An agent's products share one interned list: agents that run the same set at the same versions hold one number. */
type ProductList = readonly InstalledProduct[];

export interface RosterEntry {
  handle: number;
  id: string;
  region: string;
  platform: string;
  labels: Record<string, string>;
  products: ProductList;
  health: 'ok' | 'unhealthy';
  healthReason: string | null;
  factsKnown: boolean;
  /** Those that something is required of; null: none are known yet. */
  facts: Facts | null;
  pins: readonly Pin[];
}

/** What of an agent, besides its place, decides whether it can be updated. */
export interface Kind {
  platform: string;
  products: ProductList;
  facts: Facts | null;
  health: 'ok' | 'unhealthy';
  /** Products at which a person has pinned the agent, in order. */
  pinned: readonly string[];
}

type Profile = Pick<Kind, 'facts' | 'health' | 'pinned'>;

const NO_PINS: readonly Pin[] = [];
const NOTHING_SPENT: readonly Spent[] = [];

/**
 * Values that many agents share, kept once; the index is what an agent's column holds. What no agent holds any more is
 * forgotten: agents report some of these values themselves, for years.
 */
class Interned<T> {
  /** By index; undefined where a value was forgotten and no other has taken its place. */
  readonly values: (T | undefined)[] = [];
  private readonly index = new Map<string, number>();
  private readonly holders: number[] = [];
  private readonly free: number[] = [];

  /** For one more holder. */
  take(value: T): number {
    const key = keyOf(value);
    const known = this.index.get(key);
    if (known !== undefined) {
      this.holders[known] = (this.holders[known] as number) + 1;
      return known;
    }
    const place = this.free.pop() ?? this.values.length;
    this.values[place] = value;
    this.holders[place] = 1;
    this.index.set(key, place);
    return place;
  }

  /** One holder less. */
  release(place: number): void {
    const left = (this.holders[place] as number) - 1;
    this.holders[place] = left;
    if (left > 0) return;
    this.index.delete(keyOf(this.values[place]));
    this.values[place] = undefined;
    this.free.push(place);
  }

  /** Undefined when nobody holds it. */
  find(value: T): number | undefined {
    return this.index.get(keyOf(value));
  }

  get size(): number {
    return this.index.size;
  }

  at(index: number): T {
    const value = this.values[index];
    assert(value !== undefined, `interned value ${index}`);
    return value;
  }
}

/** Distinct lists and platforms are far fewer than 2^26. */
function kindKey(list: number, platform: number): number {
  return list * 0x4000000 + platform;
}

function keyOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Agents of one kind in one region. */
export interface Group extends Kind {
  region: string;
  agents: number;
  /** Seen within the time that was asked for. */
  present: number;
}

export class Roster {
  private readonly handles = new Map<string, number>();
  private readonly ids: (string | undefined)[] = [];
  /** Handles by region, ascending: a count of one region does not go through all the others. */
  private readonly byRegion = new Map<number, number[]>();
  private readonly regions = new Interned<string>();
  private readonly platforms = new Interned<string>();
  private readonly labelSets = new Interned<Record<string, string>>();
  private readonly productLists = new Interned<ProductList>();
  private readonly healths = new Interned<{ status: 'ok' | 'unhealthy'; reason: string | null }>();
  private readonly profiles = new Interned<Profile>();
  private readonly factNames: readonly string[];
  private region = new Uint16Array(FIRST_CAPACITY);
  // As wide as there may be agents: each may report one of its own.
  private platform = new Uint32Array(FIRST_CAPACITY);
  private labels = new Uint32Array(FIRST_CAPACITY);
  private products = new Uint32Array(FIRST_CAPACITY);
  private health = new Uint32Array(FIRST_CAPACITY);
  private hash = new Uint32Array(FIRST_CAPACITY);
  private facts = new Uint8Array(FIRST_CAPACITY);
  private profile = new Uint32Array(FIRST_CAPACITY);
  /** Observed instant since which health and facts are as they are. */
  private profileSince = new Float64Array(FIRST_CAPACITY);
  /** Observed instant of the last check-in. */
  private seenObserved = new Float64Array(FIRST_CAPACITY);
  private seenAt = new Float64Array(FIRST_CAPACITY);
  /** Has checked in with this server since it started. */
  private heard = new Uint8Array(FIRST_CAPACITY);
  /** Has not reported since the database was restored. */
  private readonly stale = new Set<number>();
  /** Unenrolled: their columns stay, for what they have at risk holds slots of their region and site. */
  private readonly retired = new Set<number>();
  private readonly live = new Map<number, readonly Attempt[]>();
  private readonly hot = new Set<number>();
  /** Those with an attempt that is offered. */
  private readonly downloading = new Set<number>();
  private readonly spent = new Map<number, readonly Spent[]>();
  /** Of those few that have any. */
  private readonly pins = new Map<number, readonly Pin[]>();
  private readonly unflushed = new Set<number>();
  /** Seconds since the epoch of the last-seen time that the database has. */
  private flushedAt = new Uint32Array(FIRST_CAPACITY);

  /** `factNames`: the facts that something is required of; of the others it is enough that the database has them. */
  constructor(factNames: Iterable<string> = []) {
    this.factNames = [...new Set(factNames)].sort();
  }

  get size(): number {
    return this.handles.size - this.retired.size;
  }

  /**
   * The agent is no agent any more: nobody meets it in what follows. What it has tried stays, for the steps that it was in
   * are the fold of that, and a slot that it holds is free once its attempt has ended.
   */
  retire(handle: number): void {
    if (this.retired.has(handle) || this.ids[handle] === undefined) return;
    this.retired.add(handle);
    const region = this.region[handle] as number;
    const others = this.handlesIn(region).filter((one) => one !== handle);
    this.byRegion.set(region, others);
    this.pins.delete(handle);
    this.stale.delete(handle);
    this.unflushed.delete(handle);
  }

  isRetired(handle: number): boolean {
    return this.retired.has(handle);
  }

  /** Adds an agent or replaces what is known of it. `observedMs`: it counts as seen from then on. */
  put(agent: Agent, observedMs: number): void {
    const { handle } = agent;
    this.grow(handle);
    const isNew = this.ids[handle] === undefined;
    this.handles.set(agent.id, handle);
    this.ids[handle] = agent.id;
    const profile: Profile = {
      facts: this.wanted(agent.facts),
      health: agent.health,
      pinned: this.pinsOf(handle)
        .map((pin) => pin.product)
        .sort(),
    };
    const isAsBefore = !isNew && keyOf(this.profiles.at(this.profile[handle] as number)) === keyOf(profile);
    if (!isNew) this.releaseValues(handle);
    this.settle(handle, this.regions.take(agent.region), isNew);
    this.platform[handle] = this.platforms.take(agent.platform);
    this.labels[handle] = this.labelSets.take(agent.labels);
    this.products[handle] = this.productLists.take(agent.products);
    this.health[handle] = this.healths.take({ status: agent.health, reason: agent.healthReason });
    this.hash[handle] = hash32(agent.id);
    this.facts[handle] = agent.facts === null ? 0 : 1;
    this.profile[handle] = this.profiles.take(profile);
    if (!isAsBefore) this.profileSince[handle] = observedMs;
    if (isNew) this.seenObserved[handle] = observedMs;
  }

  /** What the books alone say of agents: attempts, what was spent, pins, and who has to report. */
  forgetBooks(): void {
    for (const handle of [...this.pins.keys()]) this.setPins(handle, []);
    this.live.clear();
    this.hot.clear();
    this.downloading.clear();
    this.spent.clear();
    this.stale.clear();
  }

  pinsOf(handle: number): readonly Pin[] {
    return this.pins.get(handle) ?? NO_PINS;
  }

  isPinned(handle: number, product: string): boolean {
    return this.pins.get(handle)?.some((pin) => pin.product === product) === true;
  }

  /** Replaces the agent's pins. It is no other host for that: since when health and facts are as they are stays. */
  setPins(handle: number, pins: readonly Pin[]): void {
    if (pins.length === 0) this.pins.delete(handle);
    else this.pins.set(handle, pins);
    const before = this.profile[handle] as number;
    const pinned = pins.map((pin) => pin.product).sort();
    this.profile[handle] = this.profiles.take({ ...this.profiles.at(before), pinned });
    this.profiles.release(before);
  }

  private wanted(facts: Facts | null): Facts | null {
    if (facts === null) return null;
    const known = this.factNames.filter((name) => Object.hasOwn(facts, name));
    return Object.fromEntries(known.map((name) => [name, facts[name] as string]));
  }

  private settle(handle: number, region: number, isNew: boolean): void {
    const before = this.region[handle] as number;
    this.region[handle] = region;
    if (!isNew && before === region) return;
    if (!isNew)
      this.byRegion.set(
        before,
        this.handlesIn(before).filter((one) => one !== handle),
      );
    const here = this.byRegion.get(region) ?? [];
    this.byRegion.set(region, here);
    const isLast = here.length === 0 || (here.at(-1) as number) < handle;
    if (isLast) here.push(handle);
    else
      here.splice(
        here.findIndex((one) => one > handle),
        0,
        handle,
      );
  }

  private handlesIn(region: number): readonly number[] {
    return this.byRegion.get(region) ?? [];
  }

  private releaseValues(handle: number): void {
    this.regions.release(this.region[handle] as number);
    this.platforms.release(this.platform[handle] as number);
    this.labelSets.release(this.labels[handle] as number);
    this.productLists.release(this.products[handle] as number);
    this.healths.release(this.health[handle] as number);
    this.profiles.release(this.profile[handle] as number);
  }

  /** Distinct values that agents report themselves: a bound on what they make the server keep. */
  get distinctValues(): number {
    return [this.platforms, this.productLists, this.healths, this.profiles].reduce((sum, one) => sum + one.size, 0);
  }

  handleOf(id: string): number | undefined {
    return this.handles.get(id);
  }

  entry(handle: number): RosterEntry | undefined {
    const id = this.ids[handle];
    if (id === undefined || this.retired.has(handle)) return undefined;
    const health = this.healths.at(this.health[handle] as number);
    return {
      handle,
      id,
      region: this.regions.at(this.region[handle] as number),
      platform: this.platforms.at(this.platform[handle] as number),
      labels: this.labelSets.at(this.labels[handle] as number),
      products: this.productLists.at(this.products[handle] as number),
      health: health.status,
      healthReason: health.reason,
      factsKnown: this.facts[handle] === 1,
      facts: this.profiles.at(this.profile[handle] as number).facts,
      pins: this.pinsOf(handle),
    };
  }

  isUnhealthy(handle: number): boolean {
    return this.profiles.at(this.profile[handle] as number).health === 'unhealthy';
  }

  /** Observed milliseconds since health and facts have been as they are. */
  unchangedMs(handle: number, observedMs: number): number {
    return observedMs - (this.profileSince[handle] ?? 0);
  }

  /** Asks once for all agents of a kind. What it returns is good for one pass: kinds that nobody is of are forgotten. */
  byKind<T>(find: (kind: Kind) => T): (handle: number) => T {
    const known: Map<number, T>[] = [];
    return (handle) => {
      const [list, platform] = [this.products[handle] as number, this.platform[handle] as number];
      const profile = this.profile[handle] as number;
      const answers = known[profile] ?? new Map<number, T>();
      known[profile] = answers;
      const key = kindKey(list, platform);
      const before = answers.get(key);
      if (before !== undefined || answers.has(key)) return before as T;
      const found = find(this.kindAt(list, platform, profile));
      answers.set(key, found);
      return found;
    };
  }

  private kindAt(list: number, platform: number, profile: number): Kind {
    const { facts, health, pinned } = this.profiles.at(profile);
    return { platform: this.platforms.at(platform), products: this.productLists.at(list), facts, health, pinned };
  }

  /** Enrolled agents by region, whether or not the config names it. */
  regionCounts(): { region: string; agents: number }[] {
    return [...this.byRegion].flatMap(([region, { length: agents }]) =>
      agents === 0 ? [] : [{ region: this.regions.at(region), agents }],
    );
  }

  /** Undefined when there is no such agent. */
  regionOf(handle: number): string | undefined {
    return this.ids[handle] === undefined ? undefined : this.regions.at(this.region[handle] as number);
  }

  hashOf(handle: number): number {
    return this.hash[handle] as number;
  }

  idOf(handle: number): string {
    return this.ids[handle] as string;
  }

  labelsOf(handle: number): Record<string, string> {
    return this.labelSets.at(this.labels[handle] as number);
  }

  /** Handles in ascending order. */
  *all(): Generator<number> {
    for (let handle = 0; handle < this.ids.length; handle += 1)
      if (this.ids[handle] !== undefined && !this.retired.has(handle)) yield handle;
  }

  /**
   * Handles of a region's agents that run the product, with version and platform looked up once per distinct value.
   * `visit` is called for each; no objects are made per agent.
   */
  *visit(
    product: string,
    region: string,
    visit: (handle: number, version: string, platform: string) => void,
  ): Pieces<void> {
    const regionIndex = this.regions.find(region);
    if (regionIndex === undefined) return;
    const versions = this.productLists.values.map((list) => list?.find((one) => one.product === product)?.version);
    const handles = this.handlesIn(regionIndex);
    yield* eachIndex(handles.length, (index) => {
      const handle = handles[index] as number;
      const version = versions[this.products[handle] as number];
      if (version !== undefined)
        visit(handle, version, this.platforms.values[this.platform[handle] as number] as string);
    });
  }

  /** All agents in groups, in one pass over the columns. `staleMs`: who was silent so long in observed time is not present. */
  *groups(staleMs: number, observedMs: number): Pieces<Group[]> {
    const found: Group[] = [];
    for (const [regionIndex, handles] of this.byRegion) {
      const byProfile: Map<number, Group>[] = [];
      yield* eachPiece(handles.length, (from, to) => {
        this.countPiece(handles, from, to, byProfile, regionIndex, observedMs - staleMs);
      });
      for (const groups of byProfile) if (groups !== undefined) found.push(...groups.values());
    }
    return found;
  }

  private countPiece(
    handles: readonly number[],
    from: number,
    to: number,
    byProfile: Map<number, Group>[],
    region: number,
    silentSince: number,
  ): void {
    // Most stand beside one of the same kind: looking up the group of each was half of every pass.
    let [lastList, lastPlatform, lastProfile] = [-1, -1, -1];
    let group: Group | undefined;
    for (let index = from; index < to; index += 1) {
      const handle = handles[index] as number;
      const list = this.products[handle] as number;
      const platform = this.platform[handle] as number;
      const profile = this.profile[handle] as number;
      if (group === undefined || list !== lastList || platform !== lastPlatform || profile !== lastProfile) {
        group = this.groupIn(byProfile, region, list, platform, profile);
        lastList = list;
        lastPlatform = platform;
        lastProfile = profile;
      }
      group.agents += 1;
      if ((this.seenObserved[handle] as number) > silentSince) group.present += 1;
    }
  }

  private groupIn(
    byProfile: Map<number, Group>[],
    region: number,
    list: number,
    platform: number,
    profile: number,
  ): Group {
    let groups = byProfile[profile];
    if (groups === undefined) {
      groups = new Map();
      byProfile[profile] = groups;
    }
    const key = kindKey(list, platform);
    const known = groups.get(key);
    if (known !== undefined) return known;
    const group = { region: this.regions.at(region), ...this.kindAt(list, platform, profile), agents: 0, present: 0 };
    groups.set(key, group);
    return group;
  }

  seen(handle: number, wallMs: number, observedMs: number): void {
    this.heard[handle] = 1;
    this.seenAt[handle] = wallMs;
    this.seenObserved[handle] = observedMs;
    // Either way: a clock that was set back is no reason to write no more.
    const apartMs = Math.abs(wallMs - (this.flushedAt[handle] as number) * 1000);
    if (apartMs >= FLUSH_AGAIN_MS) this.unflushed.add(handle);
  }

  /** From the database at start: shown to people, but silence is counted anew. */
  setLastSeen(handle: number, wallMs: number): void {
    this.grow(handle);
    this.seenAt[handle] = wallMs;
    this.flushedAt[handle] = wallMs / 1000;
  }

  lastSeenAt(handle: number): number | null {
    const at = this.seenAt[handle];
    return at === undefined || at === 0 ? null : at;
  }

  isStale(handle: number): boolean {
    return this.stale.has(handle);
  }

  get staleCount(): number {
    return this.stale.size;
  }

  setStale(handle: number, stale: boolean): void {
    if (stale) this.stale.add(handle);
    else this.stale.delete(handle);
  }

  /**
   * Whether this server has heard of the agent itself. After a start nobody counts as silent for a while, which must not
   * pass for a sign of life where one is asked for.
   */
  hasHeard(handle: number): boolean {
    return this.heard[handle] === 1;
  }

  /** Observed milliseconds since the last check-in, or since this server began to look. */
  silentMs(handle: number, observedMs: number): number {
    return observedMs - (this.seenObserved[handle] ?? 0);
  }

  liveOf(handle: number): readonly Attempt[] {
    return this.live.get(handle) ?? [];
  }

  /** Replaces what is known of one attempt; ended ones are forgotten. */
  setAttempt(handle: number, attempt: Attempt): void {
    const others = this.liveOf(handle).filter((one) => one.id !== attempt.id);
    const list = isLive(attempt.state) ? [...others, attempt] : others;
    if (list.length === 0) this.live.delete(handle);
    else this.live.set(handle, list);
    if (isOccupying(list)) this.hot.add(handle);
    else this.hot.delete(handle);
    this.noteDownload(handle, list);
  }

  private noteDownload(handle: number, live: readonly Attempt[]): void {
    if (live.some((one) => one.state === 'offered')) this.downloading.add(handle);
    else this.downloading.delete(handle);
  }

  /** Where the agents stand that download. */
  downloadingPlaces(): Pick<Place, 'region'>[] {
    return [...this.downloading].map((handle) => ({ region: this.regions.at(this.region[handle] as number) }));
  }

  /** Where the agents stand that hold a slot of the limits. */
  hotPlaces(): Place[] {
    return [...this.hot].map((handle) => ({
      region: this.regions.at(this.region[handle] as number),
      labels: this.labelsOf(handle),
    }));
  }

  spentOf(handle: number): readonly Spent[] {
    return this.spent.get(handle) ?? NOTHING_SPENT;
  }

  /** In ascending order: who has an attempt that ended without a success. */
  spentHandles(): number[] {
    return [...this.spent.keys()].sort((a, b) => a - b);
  }

  /** Attempts of the agent that ended without a success, in lanes that have not ended. */
  setSpent(handle: number, spent: readonly Spent[]): void {
    if (spent.length === 0) this.spent.delete(handle);
    else this.spent.set(handle, spent);
  }

  /** One more attempt that ended so. */
  addSpent(handle: number, more: readonly Spent[]): void {
    this.setSpent(handle, addSpent(this.spentOf(handle), more));
  }

  /** Forgets the ungranted attempts of a lane: they were withdrawn together. Returns the handles that had one. */
  dropUngranted(laneId: string): number[] {
    const dropped: number[] = [];
    for (const [handle, attempts] of this.live) {
      const kept = attempts.filter(
        (one) => one.laneId !== laneId || (one.state !== 'offered' && one.state !== 'staged'),
      );
      if (kept.length === attempts.length) continue;
      dropped.push(handle);
      if (kept.length === 0) this.live.delete(handle);
      else this.live.set(handle, kept);
      this.noteDownload(handle, kept);
    }
    return dropped;
  }

  /** Agents of the lane that wait for the permission to activate, with the step of their attempt. */
  *stagedIn(laneId: string): Generator<{ handle: number; step: number }> {
    for (const [handle, attempts] of this.live) {
      const staged = attempts.find((one) => one.laneId === laneId && one.state === 'staged');
      if (staged !== undefined) yield { handle, step: staged.step };
    }
  }

  /** Back to those that are not in the database yet: they could not be written. */
  putBackUnflushed(rows: readonly { handle: number }[]): void {
    for (const { handle } of rows) {
      this.flushedAt[handle] = 0;
      this.unflushed.add(handle);
    }
  }

  /** At the end every time is due that the database does not have. */
  oweAll(): void {
    for (const handle of this.all()) {
      if ((this.seenAt[handle] as number) - (this.flushedAt[handle] as number) * 1000 >= 1000)
        this.unflushed.add(handle);
    }
  }

  /** Takes out at most `limit` last-seen times that are not in the database yet. */
  takeUnflushed(limit: number): { handle: number; seenAt: number }[] {
    const rows: { handle: number; seenAt: number }[] = [];
    for (const handle of this.unflushed) {
      if (rows.length >= limit) break;
      this.unflushed.delete(handle);
      this.flushedAt[handle] = (this.seenAt[handle] as number) / 1000;
      rows.push({ handle, seenAt: this.seenAt[handle] as number });
    }
    return rows;
  }

  private grow(handle: number): void {
    if (handle < this.hash.length) return;
    const capacity = Math.max(handle + 1, this.hash.length * 2);
    this.region = enlarge(this.region, new Uint16Array(capacity));
    this.platform = enlarge(this.platform, new Uint32Array(capacity));
    this.labels = enlarge(this.labels, new Uint32Array(capacity));
    this.products = enlarge(this.products, new Uint32Array(capacity));
    this.health = enlarge(this.health, new Uint32Array(capacity));
    this.hash = enlarge(this.hash, new Uint32Array(capacity));
    this.facts = enlarge(this.facts, new Uint8Array(capacity));
    this.profile = enlarge(this.profile, new Uint32Array(capacity));
    this.profileSince = enlarge(this.profileSince, new Float64Array(capacity));
    this.seenObserved = enlarge(this.seenObserved, new Float64Array(capacity));
    this.seenAt = enlarge(this.seenAt, new Float64Array(capacity));
    this.heard = enlarge(this.heard, new Uint8Array(capacity));
    this.flushedAt = enlarge(this.flushedAt, new Uint32Array(capacity));
  }
}

function enlarge<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from);
  return to;
}
