import type { Page } from "../../app/api.ts";
import { useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { useNames } from "../rules/people.ts";
import type { DraftStep, Names } from "./policy-types.ts";

interface Named {
  readonly id: string;
  readonly name: string;
}

/** Names of what steps refer to. */
export function useTargetNames(projectId: string, steps: readonly DraftStep[]): Names {
  const ids = steps.flatMap((step) => (step.type === "notify" ? (step.users ?? []) : []));
  const users = useNames(ids);
  const schedules = useGet<Page<Named>>(projectId === "" ? null : "/oncall/schedules", { projectId, limit: 100 });
  const roles = useGet<{ readonly data: readonly Named[] }>(can("roles:read") ? "/roles" : null);
  const channels = useGet<Page<Named>>(projectId === "" ? null : "/channels", { projectId, limit: 100 });
  const byId = (items: readonly Named[] = []) => new Map(items.map(({ id, name }) => [id, name]));
  return {
    users,
    schedules: byId(schedules.data?.data),
    roles: byId(roles.data?.data),
    channels: byId(channels.data?.data),
  };
}
