// The agent's host port on a modelled disk: what is written is durable, and power or space can fail at every effect.
import type { Counters } from '../../src/agent/counters.ts';
import type { Fault, Host, KnownGood } from '../../src/agent/host.ts';
import type { Journal } from '../../src/agent/journal.ts';
import { MAX_UNPROVEN_STARTS, type Marker, type UndoCause } from '../../src/agent/marker.ts';
import { type Order, type Outcome, type TrialResult, trialOf } from '../../src/agent/order.ts';
import type { RunningProduct } from '../../src/protocol/agent.ts';

/** What survives the loss of power. */
export interface Disk {
  journal: Journal;
  counters: Counters;
  marker: Marker;
  /** Whose trial the marker is about. */
  trialProduct: string;
  /** By product. */
  slots: Map<string, Slot>;
}

interface Slot {
  /** Digest by version: sealed, verified. */
  sealed: Map<string, string>;
  current: string;
  previous: string | null;
  skipped: Set<string>;
  knownGood: KnownGood[];
}

/** What the world does to a host, and wants to know of it. */
export interface HostWorld {
  platform: string;
  /** Before every effect; throws to end the process there, or what a full disk throws. */
  effect(name: string): void;
  /** Resolves when the bytes are there; rejects when the signal aborts. */
  bring(order: Order, signal: AbortSignal): Promise<Fault | undefined>;
  selfTest(order: Order): Fault | undefined;
  localFault(): string | undefined;
  missing(): string | undefined;
  /** What may change while the host runs. */
  facts(): Record<string, string>;
  flipped(order: Order, from: RunningProduct): void;
  confirmed(order: Order): void;
}

export function newDisk(epoch: number, products: readonly RunningProduct[]): Disk {
  return {
    journal: {},
    counters: { epoch, sequence: 0 },
    marker: { kind: 'none' },
    trialProduct: '',
    slots: new Map(
      products.map(({ product, version, digest }) => [
        product,
        {
          sealed: new Map([[version, digest]]),
          current: version,
          previous: null,
          skipped: new Set<string>(),
          knownGood: [{ version, digest }],
        },
      ]),
    ),
  };
}

export function currentOf(disk: Disk): RunningProduct[] {
  return [...disk.slots].map(([product, slot]) => ({
    product,
    version: slot.current,
    digest: slot.sealed.get(slot.current) ?? '',
  }));
}

export function copyOf(disk: Disk): Disk {
  return structuredClone(disk);
}

export function createSimHost(disk: Disk, world: HostWorld): Host {
  // What this process was started from keeps running, whatever `current` says later.
  const running = currentOf(disk);
  const slotOf = (product: string) => disk.slots.get(product) as Slot;

  function moveMarker(order: Order, to: 'proven' | UndoCause): void {
    const trial = disk.marker.kind === 'none' ? trialOf(order) : disk.marker.trial;
    world.effect('marker');
    disk.trialProduct = order.product;
    disk.marker = to === 'proven' ? { kind: 'proven', trial } : { kind: 'undoing', cause: to, trial };
  }

  return {
    platform: world.platform,
    running: () => running,
    facts: () => ({ 'os.platform': 'linux', 'agent.version': running[0]?.version ?? '', ...world.facts() }),
    localFault: () => world.localFault(),
    missing: () => world.missing(),
    loadJournal: () => structuredClone(disk.journal),
    saveJournal(journal) {
      world.effect('journal');
      disk.journal = structuredClone(journal);
    },
    loadCounters: () => ({ ...disk.counters }),
    saveCounters(counters) {
      world.effect('counters');
      disk.counters = { ...counters };
    },
    skipped: (product) => [...(disk.slots.get(product)?.skipped ?? [])],
    knownGood: (product) => disk.slots.get(product)?.knownGood ?? [],
    trialResult(attempt): TrialResult {
      const { marker } = disk;
      if (marker.kind === 'none' || marker.trial.attempt !== attempt) return { kind: 'none' };
      if (marker.kind === 'trial' || marker.kind === 'proven') return { kind: marker.kind };
      const pending = marker.kind === 'undoing' && isOnTrial(disk, marker.trial.version);
      return pending ? { kind: 'trial' } : { kind: 'undone', cause: marker.cause, detail: null };
    },
    hasSealed: ({ product, version, digest }) => slotOf(product).sealed.get(version) === digest,
    download: (order, signal) => world.bring(order, signal),
    unpack: () => Promise.resolve(undefined),
    selfTest: (order) => Promise.resolve(world.selfTest(order)),
    seal(order) {
      world.effect('seal');
      slotOf(order.product).sealed.set(order.version, order.digest);
      return undefined;
    },
    discard: (order) => removeUnnamed(disk, order.product, []),
    prepare(order) {
      if (slotOf(order.product).sealed.get(order.version) !== order.digest)
        return { cause: 'digest_mismatch', detail: 'the sealed version is another one' };
      world.effect('prepare');
      disk.trialProduct = order.product;
      disk.marker = { kind: 'trial', left: MAX_UNPROVEN_STARTS, trial: trialOf(order) };
      return undefined;
    },
    unprepare(order) {
      world.effect('unprepare');
      if (disk.marker.kind === 'trial' && disk.marker.trial.attempt === order.attempt) disk.marker = { kind: 'none' };
    },
    flip(order) {
      world.effect('flip');
      const slot = slotOf(order.product);
      world.flipped(order, running.find((one) => one.product === order.product) as RunningProduct);
      slot.current = order.version;
      return undefined;
    },
    confirm(order) {
      const { marker } = disk;
      if (marker.kind === 'proven' && marker.trial.attempt === order.attempt) return;
      moveMarker(order, 'proven');
      world.confirmed(order);
    },
    undo(order, cause) {
      if (disk.marker.kind !== 'undoing') moveMarker(order, cause);
    },
    settle: (order, outcome, keep) => settle(disk, world, order, outcome, keep),
  };
}

function settle(disk: Disk, world: HostWorld, order: Order, outcome: Outcome, keep: readonly string[]): void {
  world.effect('settle');
  const slot = disk.slots.get(order.product);
  if (slot === undefined) return;
  const { version, digest, from } = order;
  if (outcome.state === 'rolled_back') slot.skipped.add(digest);
  if (outcome.state === 'succeeded') {
    slot.knownGood = [...slot.knownGood.filter((good) => good.digest !== digest), { version, digest }];
    slot.skipped.delete(digest);
    if (slot.current === version) slot.previous = from.version;
  }
  const { marker } = disk;
  if (marker.kind === 'undoing' || (marker.kind !== 'none' && marker.trial.attempt !== order.attempt)) return;
  disk.marker = { kind: 'none' };
  removeUnnamed(disk, order.product, keep);
}

function removeUnnamed(disk: Disk, product: string, keep: readonly string[]): void {
  const slot = disk.slots.get(product);
  if (slot === undefined) return;
  const named = [slot.current, slot.previous, ...keep];
  if (disk.marker.kind !== 'none') named.push(disk.marker.trial.from, disk.marker.trial.version);
  for (const version of [...slot.sealed.keys()]) if (!named.includes(version)) slot.sealed.delete(version);
}

/** Whether `current` of the product on trial names the version on trial. */
export function isOnTrial(disk: Disk, version: string): boolean {
  return disk.slots.get(disk.trialProduct)?.current === version;
}
