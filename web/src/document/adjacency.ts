/**
 * Links by the nodes they touch.
 *
 * An index belongs to one map of links. A command that changes links hands the index on to the changed map, so that
 * keeping it costs what changed; an older map gets a new index when somebody asks for it.
 */
import type { Link, LinkId, NodeId } from "./types";

export interface Adjacent {
  readonly in: readonly Link[];
  readonly out: readonly Link[];
}

const NONE: Adjacent = { in: [], out: [] };

export class LinkIndex {
  private readonly byNode = new Map<NodeId, { in: Link[]; out: Link[] }>();

  constructor(links: Iterable<Link>) {
    for (const link of links) {
      this.entry(link.from).out.push(link);
      this.entry(link.to).in.push(link);
    }
  }

  of(id: NodeId): Adjacent {
    return this.byNode.get(id) ?? NONE;
  }

  /** The link that feeds an input. */
  into(id: NodeId, input: number): Link | undefined {
    return this.of(id).in.find((link) => link.input === input);
  }

  // Arrays are replaced, never changed: callers hold them.
  add(link: Link): void {
    const from = this.of(link.from);
    this.byNode.set(link.from, { in: [...from.in], out: [...from.out, link] });
    const to = this.of(link.to);
    this.byNode.set(link.to, { in: [...to.in, link], out: [...to.out] });
  }

  remove(link: Link): void {
    const from = this.of(link.from);
    this.put(
      link.from,
      [...from.in],
      from.out.filter((one) => one.id !== link.id),
    );
    const to = this.of(link.to);
    this.put(
      link.to,
      to.in.filter((one) => one.id !== link.id),
      [...to.out],
    );
  }

  private put(id: NodeId, incoming: Link[], outgoing: Link[]): void {
    if (incoming.length + outgoing.length > 0) this.byNode.set(id, { in: incoming, out: outgoing });
    else this.byNode.delete(id);
  }

  private entry(id: NodeId): { in: Link[]; out: Link[] } {
    let found = this.byNode.get(id);
    if (found === undefined) this.byNode.set(id, (found = { in: [], out: [] }));
    return found;
  }
}

const indexes = new WeakMap<ReadonlyMap<LinkId, Link>, LinkIndex>();

export function linkIndex(links: ReadonlyMap<LinkId, Link>): LinkIndex {
  let found = indexes.get(links);
  if (found === undefined) indexes.set(links, (found = new LinkIndex(links.values())));
  return found;
}

/** Takes the index away from a map that is about to be replaced. */
export function takeIndex(links: ReadonlyMap<LinkId, Link>): LinkIndex {
  const index = linkIndex(links);
  indexes.delete(links);
  return index;
}

export function giveIndex(links: ReadonlyMap<LinkId, Link>, index: LinkIndex): void {
  indexes.set(links, index);
}
