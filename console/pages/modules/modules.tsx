import type { Module } from "../../../src/client/api-types.gen.ts";
import { ListPage } from "../../app/list-page.tsx";
import { useStream } from "../../app/live.ts";
import { useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Badge, Banner, type Column, plural, Time, UserText } from "../../ui/index.ts";
import { ModuleActions } from "./module-actions.tsx";

const STATE = {
  active: { tone: "ok", text: "active" },
  loading: { tone: "info", text: "loading" },
  failed: { tone: "bad", text: "failed" },
  disabled: { tone: "plain", text: "disabled" },
} as const;

const COLUMNS: readonly Column<Module>[] = [
  { label: "Module", cell: ({ name }) => <UserText>{name}</UserText>, card: "title", width: "wide" },
  { label: "Version", cell: ({ version }) => <span class="mono">{version ?? "unknown"}</span> },
  { label: "State", cell: ({ state }) => <Badge {...STATE[state]} />, card: "aside" },
  { label: "Routes", cell: ({ routes }) => plural(routes.length, "route"), align: "end", priority: 2 },
  { label: "Changed", cell: ({ updatedAt }) => <Time at={updatedAt} />, align: "end", priority: 3 },
];

const EMPTY = {
  title: "No module is installed",
  text: "Put a folder with an index.mjs into the modules directory. It is loaded while the server runs.",
  command: "prism docs modules",
};

/** Extensions in JavaScript, and the built-in features. */
export default function Modules() {
  const query = useGet<{ data: readonly Module[] }>("/modules");
  useStream("system", ({ type }) => type.startsWith("module") && query.reload(), query.reload);
  const all = query.data?.data;
  const own = all?.filter(({ builtIn }) => !builtIn);
  const failed = own?.filter(({ state }) => state === "failed") ?? [];
  const builtIn = all?.filter((module) => module.builtIn).map(({ name }) => name);
  return (
    <ListPage<Module>
      of={query}
      title="Modules"
      label="Modules from the modules directory"
      subtitle={subtitleOf(own, failed)}
      noun="module"
      rows={own}
      columns={COLUMNS}
      rowKey={({ name }) => name}
      rowActions={(module) => (can("modules:manage") ? <ModuleActions module={module} /> : null)}
      empty={EMPTY}
      below={builtIn && <p class="muted small">{`Built in: ${builtIn.join(", ")}.`}</p>}
    >
      {failed.map(({ name, error }) => (
        <Banner key={name} tone="bad" title={`${name} failed`}>
          <UserText>{error ?? "No error was recorded."}</UserText>
        </Banner>
      ))}
    </ListPage>
  );
}

function subtitleOf(own: readonly Module[] | undefined, failed: readonly Module[]): string {
  if (!own) return "Extensions in JavaScript.";
  if (failed.length > 0) return `${plural(failed.length, "module")} failed.`;
  if (own.length === 0) return "Extensions in JavaScript. None is installed.";
  return `${plural(own.filter(({ state }) => state === "active").length, "module is", "modules are")} active.`;
}
