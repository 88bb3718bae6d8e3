import { useProjectChanges } from "../../app/refresh.ts";
import { countSoon } from "./open-incidents.ts";

const TYPES = /^(incident|alert|silence)\./;

/**
 * Runs `reload` after changes of alerts, incidents and silences.
 * @param projectId default: all projects of the user
 */
export function useAlertingChanges(reload: () => void, projectId?: string): void {
  useProjectChanges(TYPES, reload, { projectId, everyMs: 500, onType: countSoon });
}
