import { useGet } from "../../app/query.ts";
import { formatDuration, StatusDot } from "../../ui/index.ts";

interface Health {
  readonly status: "ok" | "degraded" | "unavailable";
  readonly version: string;
  readonly uptimeMs: number;
  readonly checks: Readonly<Record<string, unknown>>;
}

const NAMES: Readonly<Record<string, string>> = {
  database: "the database",
  storage: "the storage",
  ruleEngine: "the rules",
  accepting: "accepting events",
};

/** Whether the server works, in one line. */
export function HealthLine() {
  const { data, error } = useGet<Health>("/health");
  if (error) return <StatusDot tone="bad">The server reports a problem: {error.message}</StatusDot>;
  if (!data) return null;
  const failing = Object.entries(data.checks).filter(([, state]) => state !== "ok" && state !== true);
  const names = failing.map(([name]) => NAMES[name] ?? name).join(", ");
  const details = ` · version ${data.version}, up ${formatDuration(data.uptimeMs)}`;
  return failing.length === 0 ? (
    <StatusDot tone="ok">The server works{details}</StatusDot>
  ) : (
    <StatusDot tone={data.status === "unavailable" ? "bad" : "warn"}>
      Needs a look: {names}
      {details}
    </StatusDot>
  );
}
