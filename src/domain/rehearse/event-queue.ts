// What happens when on the virtual clock: the earliest first, of the same instant in the order in which it was put in.

export interface EventQueue<T> {
  readonly size: number;
  push(at: number, event: T): void;
  /** Instant of the earliest; undefined when there is none. */
  next(): number | undefined;
  pop(): T | undefined;
}

/** A binary heap over columns: there are several events for each of a hundred thousand agents. */
export function createEventQueue<T>(): EventQueue<T> {
  const at: number[] = [];
  const order: number[] = [];
  const events: T[] = [];
  let made = 0;

  const isBefore = (a: number, b: number) => {
    const apart = (at[a] as number) - (at[b] as number);
    return apart === 0 ? (order[a] as number) < (order[b] as number) : apart < 0;
  };
  function swap(a: number, b: number): void {
    [at[a], at[b]] = [at[b] as number, at[a] as number];
    [order[a], order[b]] = [order[b] as number, order[a] as number];
    [events[a], events[b]] = [events[b] as T, events[a] as T];
  }
  function rise(from: number): void {
    let place = from;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (!isBefore(place, above)) return;
      swap(place, above);
      place = above;
    }
  }
  function sink(): void {
    let place = 0;
    for (;;) {
      const left = 2 * place + 1;
      const right = left + 1;
      if (left >= at.length) return;
      const least = right < at.length && isBefore(right, left) ? right : left;
      if (!isBefore(least, place)) return;
      swap(place, least);
      place = least;
    }
  }
  return {
    get size() {
      return at.length;
    },
    push(instant, event) {
      at.push(instant);
      order.push(made);
      events.push(event);
      made += 1;
      rise(at.length - 1);
    },
    next: () => at[0],
    pop() {
      if (at.length === 0) return undefined;
      swap(0, at.length - 1);
      const event = events.pop();
      at.pop();
      order.pop();
      sink();
      return event;
    },
  };
}
