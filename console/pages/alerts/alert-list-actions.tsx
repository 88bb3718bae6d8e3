import type { Alert } from "../../../src/client/api-types.gen.ts";
import { canInProject } from "../../app/memberships.ts";
import { navigate } from "../../app/navigate.ts";
import { Menu } from "../../ui/index.ts";
import { isResolvable, nameOf, resolveAlert, silencePath } from "./alert-types.ts";

export function mayResolve(alert: Alert): boolean {
  return isResolvable(alert) && canInProject("incidents:act") === true;
}

export function RowActions({ alert, project }: { readonly alert: Alert; readonly project: string }) {
  const items = [
    ...(alert.state !== "resolved" && canInProject("silences:write")
      ? [{ label: "Silence…", keys: "s", onSelect: () => navigate(silencePath(alert, project)) }]
      : []),
    ...(mayResolve(alert) ? [{ label: "Resolve…", keys: "e", onSelect: () => resolveAlert(alert) }] : []),
  ];
  return items.length === 0 ? null : <Menu small label={`Actions on ${nameOf(alert)}`} items={items} />;
}
