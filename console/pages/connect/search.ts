import { Cable } from "lucide";
import { api, type Page } from "../../app/api.ts";
import { canInProject } from "../../app/memberships.ts";
import type { PaletteEntry } from "../../app/page-module.ts";
import type { Project } from "../../app/projects.ts";
import { me } from "../../app/session.ts";

/** Each key asks again: the answer is kept while a name is typed. */
const KEPT_MS = 15_000;
/** Projects that the search reads; the page Connect lists the others. */
const PROJECTS = 10;
const SHOWN = 5;

interface Named {
  readonly id: string;
  readonly name: string;
  readonly preset: string;
}

interface Target extends Named {
  readonly kind: "Receiver" | "Channel";
}

let kept: { readonly user: string; readonly at: number; readonly targets: Promise<readonly Target[]> } | undefined;

/** Receivers and channels by name or by the program or service behind them. */
export async function searchTargets(text: string): Promise<readonly PaletteEntry[]> {
  const user = me.value?.id ?? "";
  if (kept?.user !== user || Date.now() - kept.at > KEPT_MS) kept = { user, at: Date.now(), targets: load() };
  const wanted = text.toLowerCase();
  const found = (await kept.targets).filter(({ name, preset }) => `${name} ${preset}`.toLowerCase().includes(wanted));
  return found.slice(0, SHOWN).map(({ id, name, preset, kind }) => ({
    label: name,
    kind,
    detail: preset,
    icon: Cable,
    run: `/connect/${kind === "Receiver" ? "receivers" : "channels"}/${id}`,
  }));
}

async function load(): Promise<readonly Target[]> {
  const isReader = canInProject("events:read") === true;
  const { data: projects } = isReader ? await api.get<Page<Project>>("/projects", { limit: PROJECTS }) : { data: [] };
  const lists = await Promise.all([
    list("/channels", "Channel", {}),
    ...projects.map(({ id }) => list("/receivers", "Receiver", { projectId: id })),
    ...projects.map(({ id }) => list("/channels", "Channel", { projectId: id })),
  ]);
  return lists.flat();
}

async function list(path: string, kind: Target["kind"], query: object): Promise<readonly Target[]> {
  const { data } = await api.get<Page<Named>>(path, { ...query, limit: 100 });
  return data.map(({ id, name, preset }) => ({ id, name, preset, kind }));
}
