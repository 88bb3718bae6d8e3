/**
 * What is read of a request whose sender is known by its members: the values of `parsed` in the
 * mapping of `generic`. A missing member leaves the mapping to look for its usual names.
 */
interface Known {
  readonly type: string;
  readonly title?: string | undefined;
  readonly message?: string | undefined;
  readonly level?: string | undefined;
  readonly key?: string | undefined;
  /** Only where the sender's states are unambiguous. */
  readonly status?: "firing" | "resolved" | "acknowledged" | "event" | undefined;
  readonly link?: string | undefined;
  readonly labels?: Readonly<Record<string, string | undefined>> | undefined;
}

/** Reads one sender's requests; null for those of others. */
type Reader = (body: unknown) => Known | null;

/** A member by its path, such as `incident.name`. */
function at(value: unknown, path: string): unknown {
  let found = value;
  for (const name of path.split(".")) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, name)) return undefined;
    found = (found as Readonly<Record<string, unknown>>)[name];
  }
  return found;
}

/** The first text or number of these paths; empty texts are none. */
function text(value: unknown, ...paths: readonly string[]): string | undefined {
  for (const path of paths) {
    const found = at(value, path);
    if (typeof found === "number" || (typeof found === "string" && found.trim() !== "")) return String(found);
  }
  return undefined;
}

function has(value: unknown, ...paths: readonly string[]): boolean {
  return paths.every((path) => at(value, path) !== undefined && at(value, path) !== null);
}

/** The parts that are known, with a separator. */
function joined(separator: string, ...parts: readonly (string | undefined)[]): string | undefined {
  const known = parts.filter((part) => part !== undefined && part !== "");
  return known.length === 0 ? undefined : known.join(separator);
}

/** `onEpisodeFileDelete`, `repo_push` and `IssueCreated` as words in lower case. */
function words(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/[_.:-]+/g, " ")
    .toLowerCase();
}

function typeOf(sender: string, name: string | undefined): string {
  return joined(".", sender, name === undefined ? undefined : words(name).replaceAll(" ", "-")) ?? sender;
}

const capital = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

/** Sonarr, Radarr, Lidarr, Readarr, Prowlarr and Whisparr: https://wiki.servarr.com/sonarr/settings#connections */
const servarr: Reader = (body) => {
  const event = text(body, "eventType");
  const what = joined(
    " ",
    text(body, "series.title", "movie.title", "artist.name", "author.name"),
    episodeOf(body),
    text(body, "albums.0.title", "album.title", "book.title"),
  );
  const isHealth = event === "Health" || event === "HealthRestored";
  if (event === undefined || (what === undefined && !has(body, "instanceName") && !isHealth)) return null;
  const instance = text(body, "instanceName");
  const check = text(body, "type");
  const message = text(body, "message", "release.releaseTitle", "episodeFile.relativePath", "movieFile.relativePath");
  return {
    type: typeOf("servarr", event),
    title: joined(": ", instance, joined(" – ", capital(words(event)), isHealth ? (check ?? what) : what)),
    message: message ?? what,
    level: text(body, "level") ?? (event === "ManualInteractionRequired" ? "warning" : "info"),
    ...(isHealth && { key: joined("/", instance, check), status: event === "Health" ? "firing" : "resolved" }),
    link: text(body, "wikiUrl", "applicationUrl"),
  };
};

function episodeOf(body: unknown): string | undefined {
  const [season, episode] = [text(body, "episodes.0.seasonNumber"), text(body, "episodes.0.episodeNumber")];
  if (season === undefined || episode === undefined) return undefined;
  return joined(" ", `${season}x${episode.padStart(2, "0")}`, text(body, "episodes.0.title"));
}

/** https://crazymax.dev/diun/notif/webhook/ */
const diun: Reader = (body) => {
  if (!has(body, "diun_version", "image")) return null;
  const image = text(body, "image");
  return {
    type: typeOf("diun", text(body, "status")),
    title: text(body, "status") === "new" ? `New image ${image}` : `Image ${image} was updated`,
    message: joined(", ", text(body, "platform"), text(body, "created"), text(body, "digest")),
    level: "info",
    key: image,
    status: "event",
    link: text(body, "hub_link"),
    labels: { host: text(body, "hostname"), provider: text(body, "provider") },
  };
};

/** UniFi Protect's Alarm Manager. */
const unifiProtect: Reader = (body) => {
  if (!has(body, "alarm.name") || !(has(body, "alarm.triggers") || has(body, "alarm.conditions"))) return null;
  const what = text(body, "alarm.triggers.0.key", "alarm.conditions.0.condition.source");
  return {
    type: typeOf("unifi-protect", what),
    title: text(body, "alarm.name"),
    message: joined(" ", what && capital(words(what)), text(body, "alarm.triggers.0.device")),
    level: "warning",
    status: "event",
    link: text(body, "alarm.eventLocalLink"),
    labels: { device: text(body, "alarm.triggers.0.device"), trigger: what },
  };
};

/** Bitbucket Cloud, Bitbucket Data Center and Gogs. */
const repository: Reader = (body) => {
  const actor = text(body, "actor.display_name", "actor.displayName", "pusher.username", "sender.login");
  const repo =
    text(body, "repository.full_name") ??
    joined("/", text(body, "repository.project.key"), text(body, "repository.slug", "repository.name"));
  if (repo === undefined || actor === undefined) return null;
  const pull = at(body, "pullrequest") ?? at(body, "pullRequest") ?? at(body, "pull_request");
  const build = at(body, "commit_status");
  const state = text(build, "state");
  const branch = text(
    body,
    ...["push.changes.0.new.name", "push.changes.0.old.name", "changes.0.ref.displayId", "ref"],
  )?.replace(/^refs\/(?:heads|tags)\//, "");
  const [kind, name] = build
    ? ["build", joined(" ", text(build, "name", "key"), state?.toLowerCase())]
    : pull
      ? ["pull request", joined(" ", number(text(pull, "id", "number")), text(pull, "title"))]
      : has(body, "issue")
        ? ["issue", joined(" ", number(text(body, "issue.id", "issue.number")), text(body, "issue.title"))]
        : branch
          ? ["push", `to ${branch}`]
          : ["", undefined];
  if (kind === "") return null;
  return {
    type: typeOf("repository", kind),
    title: `${repo}: ${joined(" ", kind, name)} by ${actor}`,
    message: text(
      body,
      ...["comment.content.raw", "comment.text", "comment.body", "commit_status.description"],
      ...["push.changes.0.commits.0.message", "commits.0.message", "pullrequest.description"],
    ),
    level: state === "FAILED" ? "error" : "info",
    ...(build !== undefined && {
      key: joined("/", repo, text(build, "refname"), text(build, "key")),
      status: state === "FAILED" ? "firing" : state === "SUCCESSFUL" ? "resolved" : "event",
    }),
    link: text(
      body,
      ...["commit_status.url", "pullrequest.links.html.href", "pullRequest.links.self.0.href"],
      ...["pull_request.html_url", "issue.links.html.href", "push.changes.0.links.html.href", "compare_url"],
      "repository.links.html.href",
    ),
    labels: { repository: repo, branch, actor },
  };
};

const number = (id: string | undefined): string | undefined => id && `#${id}`;

/** Atlassian Statuspage and Instatus: https://support.atlassian.com/statuspage/docs/enable-webhook-notifications/ */
const statuspage: Reader = (body) => {
  if (!has(body, "page") || !(has(body, "incident.name") || has(body, "component.name"))) return null;
  const state = text(body, "incident.status", "component_update.new_status", "component.status");
  const plain = words(state ?? "").replaceAll(" ", "");
  const isOver = ["resolved", "completed", "postmortem", "operational"].includes(plain);
  const isPlanned = /^(?:scheduled|inprogress|verifying|undermaintenance|notstartedyet)$/.test(plain);
  const name = text(body, "incident.name", "component.name");
  return {
    type: typeOf("statuspage", has(body, "incident") ? "incident" : "component"),
    title: joined(": ", name, state && words(state)),
    message: text(body, "incident.incident_updates.0.body", "page.status_description"),
    level: isOver || isPlanned ? "info" : (levelOfImpact(text(body, "incident.impact")) ?? "warning"),
    key: text(body, "incident.id", "component.id", "component_update.component_id"),
    status: isOver ? "resolved" : isPlanned ? "event" : "firing",
    link: text(body, "incident.shortlink", "incident.url", "page.url"),
  };
};

function levelOfImpact(impact: string | undefined): string | undefined {
  return { critical: "critical", major: "error", minor: "warning", none: "info" }[impact ?? ""];
}

/** https://linear.app/developers/webhooks */
const linear: Reader = (body) => {
  const [action, kind] = [text(body, "action"), text(body, "type")];
  if (action === undefined || kind === undefined || !has(body, "data", "webhookTimestamp")) return null;
  const name = joined(
    " ",
    text(body, "data.identifier", "data.issue.identifier"),
    text(body, "data.title", "data.name", "data.issue.title"),
  );
  return {
    type: typeOf("linear", `${kind} ${action}`),
    title: joined(": ", `${words(kind)} ${past(action)}`, name),
    message: text(body, "data.body", "data.description", "data.state.name"),
    status: "event",
    link: text(body, "url", "data.url"),
    labels: {
      actor: text(body, "actor.name"),
      state: text(body, "data.state.name"),
      team: text(body, "data.team.key"),
    },
  };
};

function past(action: string): string {
  return action.endsWith("e") ? `${action}d` : action;
}

/** https://developer.atlassian.com/cloud/jira/platform/webhooks/ */
const jira: Reader = (body) => {
  const event = text(body, "webhookEvent");
  if (event === undefined) return null;
  const [issue, self] = [text(body, "issue.key"), text(body, "issue.self")];
  const site = self?.split("/rest/", 1)[0];
  return {
    type: typeOf("jira", event.replace(/^jira:/, "")),
    title: joined(
      ": ",
      capital(words(event.replace(/^jira:/, ""))),
      joined(" ", issue, text(body, "issue.fields.summary")),
    ),
    message: text(body, "comment.body", "issue.fields.description", "issue.fields.status.name"),
    status: "event",
    link: site !== undefined && issue !== undefined ? `${site}/browse/${issue}` : undefined,
    labels: {
      actor: text(body, "user.displayName", "comment.author.displayName"),
      state: text(body, "issue.fields.status.name"),
      priority: text(body, "issue.fields.priority.name"),
    },
  };
};

const ROLLBAR_LEVELS: Readonly<Record<string, string>> = {
  ...{ 10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical" },
};

/** https://docs.rollbar.com/docs/webhooks */
const rollbar: Reader = (body) => {
  const event = text(body, "event_name");
  if (event === undefined || !has(body, "data")) return null;
  const item = at(body, "data.item");
  const level = text(item, "level");
  return {
    type: typeOf("rollbar", event),
    title: joined(": ", capital(words(event)), text(item, "title") ?? text(body, "data.deploy.environment")),
    message: joined(
      ", ",
      text(item, "environment"),
      text(body, "data.deploy.comment"),
      text(body, "data.occurrences") && `${text(body, "data.occurrences")} occurrences`,
    ),
    level: level === undefined ? "info" : (ROLLBAR_LEVELS[level] ?? level),
    key: text(item, "id"),
    status: event === "resolved_item" ? "resolved" : event === "deploy" || item === undefined ? "event" : "firing",
    link: text(body, "data.url", "data.item.url", "url"),
    labels: { environment: text(item, "environment"), counter: text(item, "counter") },
  };
};

const AZURE_LEVELS: Readonly<Record<string, string>> = {
  ...{ 0: "critical", 1: "error", 2: "warning", 3: "info", 4: "debug" },
};

/** Azure Monitor: the common schema, and those of metrics and of the activity log before it. */
const azureMonitor: Reader = (body) => {
  const common = at(body, "data.essentials");
  const context = at(body, "data.context") ?? at(body, "context");
  const log = at(context, "activityLog");
  if (common === undefined && !(context !== undefined && has(body, "data.status")) && !has(context, "resourceName"))
    return null;
  const state = text(common, "monitorCondition") ?? text(body, "data.status", "status");
  const resource = text(common, "configurationItems.0") ?? text(context, "resourceName") ?? text(log, "resourceId");
  const name = text(common, "alertRule") ?? text(context, "name") ?? text(log, "operationName");
  const severity = (text(common, "severity") ?? text(context, "severity"))?.replace(/^Sev/i, "");
  const word = state?.toLowerCase() ?? "";
  const isOver = ["resolved", "deactivated"].includes(word);
  const isFiring = ["fired", "activated"].includes(word) && log === undefined;
  return {
    type: typeOf("azure-monitor", state),
    title: joined(" on ", name, resource),
    message: text(common, "description") ?? text(context, "description", "condition.metricName") ?? text(log, "status"),
    level: AZURE_LEVELS[severity ?? ""] ?? (isFiring ? "error" : "info"),
    key: text(common, "originAlertId", "alertId") ?? joined("/", text(context, "id"), resource),
    status: isFiring ? "firing" : isOver ? "resolved" : "event",
    link: text(common, "investigationLink") ?? text(context, "portalLink"),
    labels: { resource, signal: text(common, "signalType") },
  };
};

/** https://cloud.google.com/monitoring/support/notification-options#webhooks */
const googleMonitoring: Reader = (body) => {
  const incident = at(body, "incident");
  if (!has(incident, "incident_id") || !(has(incident, "policy_name") || has(incident, "condition_name"))) return null;
  const state = text(incident, "state")?.toLowerCase();
  const severity = text(incident, "severity");
  return {
    type: typeOf("google-monitoring", state),
    title: joined(": ", text(incident, "policy_name", "condition_name"), text(incident, "resource_display_name")),
    message: joined("\n", text(incident, "summary"), text(incident, "documentation.content")),
    level: severity === undefined || severity === "No severity" ? "error" : severity,
    key: text(incident, "incident_id"),
    status: state === "open" ? "firing" : state === "closed" ? "resolved" : "event",
    link: text(incident, "url"),
    labels: { condition: text(incident, "condition_name"), resource: text(incident, "resource_name") },
  };
};

/** New Relic: the default body of a workflow's webhook. */
const newRelic: Reader = (body) => {
  if (!has(body, "issueUrl")) return null;
  const entities = at(body, "impactedEntities");
  const list = Array.isArray(entities) ? entities.filter((each) => typeof each === "string").slice(0, 5) : [];
  return {
    type: typeOf("new-relic", text(body, "state")),
    title: text(body, "title", "annotations.title.0"),
    message: joined("\n", text(body, "trigger"), list.join(", "), text(body, "alertConditionNames.0")),
    level: text(body, "priority"),
    key: text(body, "id", "issueId"),
    link: text(body, "issueUrl"),
  };
};

/** Graylog: https://go2docs.graylog.org/current/interacting_with_your_log_data/notifications.html */
const graylog: Reader = (body) => {
  if (!has(body, "event_definition_id") || !has(body, "event")) return null;
  const priority = text(body, "event.priority");
  return {
    type: "graylog.event",
    title: text(body, "event_definition_title", "event.message"),
    message: text(body, "event.message", "event_definition_description"),
    level: priority === "3" || priority === "4" ? "error" : priority === "1" ? "info" : "warning",
    status: "event",
    labels: { source: text(body, "event.source"), key: text(body, "event.key") },
  };
};

/** VMware Aria Operations, formerly vRealize Operations. */
const ariaOperations: Reader = (body) => {
  if (!has(body, "alertName", "criticality")) return null;
  const [, , , level = "error"] = text(body, "criticality")?.toLowerCase().split("_") ?? [];
  const status = text(body, "status")?.toUpperCase();
  return {
    type: "aria-operations.alert",
    title: joined(": ", text(body, "resourceName"), text(body, "alertName")),
    message: text(body, "info", "subType"),
    level: level === "immediate" ? "error" : level,
    key: text(body, "alertId"),
    status: status === "ACTIVE" || status === "NEW" || status === "UPDATE" ? "firing" : cancelled(status),
    link: text(body, "alertURL"),
  };
};

const cancelled = (status = ""): "resolved" | "event" => (/^CANCELL?ED$/.test(status) ? "resolved" : "event");

/** Azure DevOps' service hooks. */
const azureDevOps: Reader = (body) => {
  if (!has(body, "publisherId") || !has(body, "message.text")) return null;
  const [title, event] = [text(body, "message.text")?.split("\n", 1)[0], text(body, "eventType")];
  const result = text(body, "resource.result", "resource.status");
  return {
    type: typeOf("azure-devops", event),
    title,
    message: text(body, "detailedMessage.text", "message.text"),
    level: result === "failed" ? "error" : result === "partiallySucceeded" ? "warning" : "info",
    status: "event",
    link: text(body, "resource._links.web.href"),
    labels: { project: text(body, "resource.project.name", "resource.repository.project.name"), result },
  };
};

/** CircleCI and Vercel: `type` and the object that it is about. */
const deployments: Reader = (body) => {
  const type = text(body, "type");
  const [circle, vercel] = [at(body, "workflow") ?? at(body, "job"), at(body, "payload.deployment")];
  if (type === undefined || (vercel === undefined && !(circle !== undefined && has(body, "happened_at")))) return null;
  const status = text(circle, "status") ?? type.split(".").at(-1);
  const project = text(body, "project.name", "payload.deployment.name", "payload.name");
  const branch = text(body, "pipeline.vcs.branch", "payload.deployment.meta.githubCommitRef");
  const isFailed = ["failed", "error", "errored"].includes(status ?? "");
  const name = text(circle, "name") ?? "deployment";
  return {
    type: typeOf(vercel === undefined ? "circleci" : "vercel", type),
    title: joined(": ", project, `${name} ${status ?? "changed"}`),
    message: text(body, "pipeline.vcs.commit.subject", "payload.deployment.meta.githubCommitMessage") ?? branch,
    level: isFailed ? "error" : "info",
    key: joined("/", project, name, branch),
    status: isFailed ? "firing" : ["success", "succeeded", "ready"].includes(status ?? "") ? "resolved" : "event",
    link: text(circle, "url") ?? text(body, "payload.links.deployment"),
    labels: { branch },
  };
};

/** https://fluxcd.io/flux/components/notification/events/ */
const flux: Reader = (body) => {
  if (!has(body, "involvedObject.name")) return null;
  const object = joined("/", ...["kind", "namespace", "name"].map((name) => text(body, `involvedObject.${name}`)));
  return {
    type: typeOf("flux", text(body, "reason")),
    title: joined(": ", object, text(body, "reason")),
    message: text(body, "message"),
    level: text(body, "severity"),
    status: "event",
    labels: { object, controller: text(body, "reportingController") },
  };
};

/** LibreNMS' transport API: `state` is 0 for a recovery, 2 for an acknowledgement. */
const librenms: Reader = (body) => {
  const state = text(body, "state");
  if (!has(body, "hostname") || !has(body, "rule") || state === undefined || !/^[0-5]$/.test(state)) return null;
  const severity = text(body, "severity");
  return {
    type: "librenms.alert",
    title: text(body, "title") ?? joined(": ", text(body, "hostname"), text(body, "name", "rule")),
    message: text(body, "msg", "message"),
    level: state === "0" ? "info" : (severity ?? "error"),
    key: joined("/", text(body, "hostname"), text(body, "rule_id", "rule")),
    status: state === "0" ? "resolved" : state === "2" ? "acknowledged" : "firing",
    labels: { host: text(body, "hostname"), rule: text(body, "rule") },
  };
};

/** Pingdom, Netdata Cloud, Kapacitor and Riemann: what is measured, and its state. */
const measured: Reader = (body) => {
  const shape = MEASURED.find(({ needs }) => has(body, ...needs));
  const state = text(body, shape?.state ?? "");
  if (shape === undefined || state === undefined) return null;
  const word = state.toLowerCase();
  const what = joined(" ", ...shape.what.map((path) => text(body, path)));
  const isOver = ["up", "ok", "clear", "success", "info"].includes(word);
  return {
    type: typeOf(shape.name, state),
    title: `${what} is ${word}`,
    message: text(body, "message", "long_description", "description", "info"),
    level: isOver ? "info" : word.startsWith("warn") ? "warning" : word.startsWith("crit") ? "critical" : "error",
    key: joined("/", ...shape.key.map((path) => text(body, path))),
    status: isOver ? "resolved" : "firing",
    link: text(body, "alert_url", "full_url"),
  };
};

const MEASURED: readonly {
  readonly name: string;
  readonly needs: readonly string[];
  readonly state: string;
  readonly what: readonly string[];
  readonly key: readonly string[];
}[] = [
  {
    ...{ name: "pingdom", needs: ["check_id", "current_state"], state: "current_state" },
    ...{ what: ["check_name"], key: ["check_id"] },
  },
  {
    ...{ name: "netdata", needs: ["alert", "chart", "severity"], state: "severity" },
    ...{ what: ["alert", "node", "chart"], key: ["node", "chart", "alert"] },
  },
  {
    ...{ name: "kapacitor", needs: ["id", "level", "data.series"], state: "level" },
    ...{ what: ["id"], key: ["id"] },
  },
  {
    ...{ name: "riemann", needs: ["host", "service", "state", "metric"], state: "state" },
    ...{ what: ["service", "host"], key: ["host", "service"] },
  },
];

/** In turn: the more distinctive first. */
const READERS: readonly Reader[] = [
  ...[diun, unifiProtect, statuspage, azureMonitor, googleMonitoring, newRelic, graylog],
  ...[ariaOperations, azureDevOps, deployments, flux, librenms, measured, jira, rollbar, linear, servarr, repository],
];

/** @returns null if the body has the form of no known sender */
export function readKnown(body: unknown): Known | null {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return null;
  for (const read of READERS) {
    const known = read(body);
    if (known) return known;
  }
  return null;
}
