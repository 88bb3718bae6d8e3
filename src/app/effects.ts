import { currentCaller, runAs, SYSTEM } from "../core/caller.ts";
import type { RightsChange } from "../core/principal.ts";
import { storedEvent } from "../features/rules/index.ts";
import { applyEffect, type Effect, type EffectTable } from "../store/effect.ts";
import { alertsChanged, personChanged, policiesChanged, silencesChanged, waysChanged } from "./open-alerts.ts";
import type { OpenFeatures } from "./open-features.ts";
import type { Services } from "./open-services.ts";
import type { Base } from "./open-store.ts";
import type { Core } from "./start-core.ts";

/** Starts to apply commits to the memory of this process. */
export function applyEffects(base: Base, core: Core, services: Services, features: OpenFeatures): void {
  const table = effectTable(base, core, services);
  // What an effect starts goes on when the client of the request that caused it has gone.
  const apply = (effect: Effect): void => {
    applyEffect(table, effect);
    features.apply(effect);
  };
  base.database.whenCommitted((effect) =>
    currentCaller() === SYSTEM ? apply(effect) : runAs(SYSTEM, () => apply(effect)),
  );
}

/** The change in memory for each type of effect: the only way from a commit to memory. */
function effectTable({ bus }: Base, core: Core, services: Services): Partial<EffectTable> {
  const { pages, alerting } = services;
  const { storage } = core.access.projects;
  const { announcer, backlog, rules, absences } = core.pipeline;
  return {
    "events-appended"({ events }) {
      backlog.appended();
      announcer.events(events.map(storedEvent));
    },
    "alerts-changed"({ alerts: rows = [] }) {
      storage.textsChanged(rows.map(({ projectId }) => projectId));
      alertsChanged(alerting, rows);
    },
    "silences-changed": ({ silences }) => silencesChanged(alerting, silences),
    "incidents-changed"(effect) {
      storage.textsChanged(effect.incidents.map(({ projectId }) => projectId));
      alerting.incidents.changed(effect);
    },
    "policies-changed": ({ projectIds }) => policiesChanged(alerting, pages, projectIds),
    "rights-changed"(change) {
      forgetRights(core, change);
      if (change.of === "project") {
        alerting.alerts.projectChanged(change.projectId);
        absences.ownersChanged();
      }
      if (change.of === "user") {
        bus.emit("user:rights-changed", { userId: change.userId });
        waysChanged(alerting, pages, { userId: change.userId });
        personChanged(alerting, core, change.userId);
      }
    },
    "rules-changed"({ ruleIds }) {
      for (const id of ruleIds) rules.changed(id);
      alerting.alerts.rulesChanged(ruleIds);
    },
    "ways-changed": (change) => waysChanged(alerting, pages, change),
    announced: ({ event, data }) => bus.emit(event, data),
  };
}

/**
 * @param change null: all rights are read again, as after a test that wrote to the database
 */
export function forgetRights({ access, live, pipeline }: Core, change: RightsChange | null): void {
  const { principals, projects, reads } = access;
  if (change === null) principals.forgetAll();
  else principals.forget(change);
  projects.storage.forget(change);
  if (change === null) projects.forgetAll();
  else if (change.of === "project") projects.forget(change.projectId);
  if (change === null || change.of === "role" || change.of === "project") reads.profiles.changedAll();
  else if (change.of !== "key") reads.profiles.changed(change.userId);
  if (change === null || RECIPIENT_CHANGES.has(change.of)) pipeline.rules.forgetRecipients();
  live.connections.noteRightsChanged(change);
}

/** Changes that affect the recipients of rules. */
const RECIPIENT_CHANGES: ReadonlySet<RightsChange["of"]> = new Set(["user", "role", "project"]);
