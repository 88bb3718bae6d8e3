import type { Module } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { useStream } from "../../app/live.ts";
import { useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Badge,
  Banner,
  Button,
  type Column,
  confirm,
  DataTable,
  EmptyState,
  Page,
  plural,
  Time,
  toast,
  UserText,
} from "../../ui/index.ts";

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

/** Extensions in JavaScript, and the built-in features. */
export default function Modules() {
  const query = useGet<{ data: readonly Module[] }>("/modules");
  useStream("system", ({ type }) => type.startsWith("module") && query.reload(), query.reload);
  const all = query.data?.data;
  const own = all?.filter(({ builtIn }) => !builtIn);
  const failed = own?.filter(({ state }) => state === "failed") ?? [];
  const change = async (module: Module, action: "enable" | "disable" | "reload") => {
    const text = "Its routes answer 503 and its jobs wait until it is enabled again.";
    const title = `Disable ${module.name}?`;
    if (action === "disable" && !(await confirm({ title, text, action: "Disable", danger: true }))) return;
    await api.post(`/modules/${encodeURIComponent(module.name)}/${action}`);
    toast.ok(`${module.name} is ${action === "reload" ? "loaded again" : `${action}d`}.`);
    query.reload();
  };
  return (
    <Page title="Modules" subtitle={subtitleOf(own, failed)}>
      {failed.map(({ name, error }) => (
        <Banner key={name} tone="bad" title={`${name} failed`}>
          <UserText>{error ?? "No error was recorded."}</UserText>
        </Banner>
      ))}
      <DataTable<Module>
        label="Modules from the modules directory"
        list={query}
        rows={own}
        rowKey={({ name }) => name}
        columns={COLUMNS}
        rowActions={(module) => (can("modules:manage") ? <ModuleActions module={module} onChange={change} /> : null)}
        empty={
          <EmptyState
            title="No module is installed"
            text="Put a folder with an index.mjs into the modules directory. It is loaded while the server runs."
            command="prism docs modules"
          />
        }
      />
      {all && (
        <p class="muted small">
          {`Built in: ${all
            .filter(({ builtIn }) => builtIn)
            .map(({ name }) => name)
            .join(", ")}.`}
        </p>
      )}
    </Page>
  );
}

function subtitleOf(own: readonly Module[] | undefined, failed: readonly Module[]): string {
  if (!own) return "Extensions in JavaScript.";
  if (failed.length > 0) return `${plural(failed.length, "module")} failed.`;
  if (own.length === 0) return "Extensions in JavaScript. None is installed.";
  return `${plural(own.filter(({ state }) => state === "active").length, "module is", "modules are")} active.`;
}

interface ActionProps {
  readonly module: Module;
  readonly onChange: (module: Module, action: "enable" | "disable" | "reload") => Promise<void>;
}

function ModuleActions({ module, onChange }: ActionProps) {
  if (!module.enabled) {
    return (
      <Button small onClick={() => onChange(module, "enable")}>
        Enable
      </Button>
    );
  }
  return (
    <>
      <Button small onClick={() => onChange(module, "reload")}>
        Reload
      </Button>
      <Button small onClick={() => onChange(module, "disable")}>
        Disable
      </Button>
    </>
  );
}
