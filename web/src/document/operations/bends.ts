/**
 * Points on links. Links of one output that have a point of one id run through the same point: they branch after it, as
 * the ecosystem's files have it.
 */
import { linkIndex } from "../adjacency";
import { several } from "../commands";
import { idOf, listOf } from "../json";
import { freeIds } from "../nodes";
import type { Command, Graph, GraphId, Link } from "../types";

type Bends = NonNullable<Link["bends"]>;
interface Point {
  readonly x: number;
  readonly y: number;
}

/** How a link runs that begins on another one: through its points up to there, or under its name as a portal. */
export interface Way {
  readonly bends?: Bends;
  readonly portal?: string;
  /** What is done to the other link first: it gets the point where the two part. */
  readonly first?: Command;
}

/** Ids for new points: neither of a link's nor of the points that the file keeps without a link. */
export function freeBendIds(graph: Graph): () => string {
  const bends = [...graph.links.values()].flatMap((link) => link.bends?.map((bend) => bend.id) ?? []);
  return freeIds([...bends, ...listOf(graph.extra?.idleReroutes).flatMap((id) => idOf(id) ?? [])]);
}

/** Points of copied links, under ids of their own: what ran through one point does so again. */
export function copiedBends(graph: Graph, dx: number, dy: number): (bends: Bends | undefined) => Bends | undefined {
  const fresh = freeBendIds(graph);
  const names = new Map<string, string>();
  return (bends) =>
    bends?.map(({ id, x, y }) => {
      if (!names.has(id)) names.set(id, fresh());
      return { id: names.get(id)!, x: x + dx, y: y + dy };
    });
}

/** The links that run through a point of a link, itself among them. */
function through(graph: Graph, link: Link, id: string): readonly Link[] {
  const { out } = linkIndex(graph.links).of(link.from);
  return out.filter((one) => one.output === link.output && one.bends?.some((bend) => bend.id === id));
}

function update(graph: GraphId, links: readonly Link[], bendsOf: (bends: Bends) => Bends): Command {
  return several(links.map((one) => ({ do: "updateLink", graph, id: one.id, set: { bends: bendsOf(one.bends ?? []) } })));
}

/** Moves a point of a link, or takes it away, in all links that run through it. */
export function setBend(graph: Graph, link: Link, index: number, to: Point | undefined): Command | undefined {
  const id = link.bends?.[index]?.id;
  if (id === undefined) return undefined;
  return update(graph.id, through(graph, link, id), (bends) =>
    bends.flatMap((bend) => (bend.id !== id ? bend : to === undefined ? [] : { ...bend, x: to.x, y: to.y })),
  );
}

/** Gives a link a point before its point `segment`, and so all links that share what follows. The points up to there too. */
export function addBend(graph: Graph, link: Link, segment: number, at: Point): { command: Command; bends: Bends } {
  const made = { x: at.x, y: at.y, id: freeBendIds(graph)() };
  const next = link.bends?.[segment]?.id;
  const links = next === undefined ? [link] : through(graph, link, next);
  const place = (bends: Bends): number => (next === undefined ? bends.length : bends.findIndex((bend) => bend.id === next));
  const command = update(graph.id, links, (bends) => bends.toSpliced(place(bends), 0, made));
  return { command, bends: [...(link.bends ?? []).slice(0, segment), made] };
}

/** A command whose new links go the given way. */
export function along(command: Command, way: Way | undefined): Command {
  if (way === undefined) return command;
  const { first, ...look } = way;
  const bent = led(command, look);
  return first === undefined ? bent : several([first, bent]);
}

function led(command: Command, look: Omit<Way, "first">): Command {
  if (command.do === "several") return { ...command, commands: command.commands.map((one) => led(one, look)) };
  return command.do === "addLinks" ? { ...command, links: command.links.map((link) => ({ ...link, ...look })) } : command;
}
