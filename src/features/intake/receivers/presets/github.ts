import type { Mapping, ReceiverPreset } from "../preset.ts";

/** Names of GitHub's bodies; Forgejo and Gitea send most of them. */
const NAMES = {
  who:
    "= first(body.repository.full_name, body.organization.login, body.installation.account.login, " +
    "body.marketplace_purchase.account.login, body.sponsorship.sponsorable.login, body.sender.login, 'GitHub')",
  branch:
    "= first(body.workflow_run.head_branch, body.workflow_job.head_branch, body.check_suite.head_branch, " +
    "body.check_run.check_suite.head_branch, body.branches[0].name, body.sha)",
  number: "= string(first(body.issue.number, body.pull_request.number, body.discussion.number, body.alert.number))",
  subject:
    "= first(body.issue.title, body.pull_request.title, body.discussion.title, body.release.name, " +
    "body.release.tag_name, " +
    "body.milestone.title, body.label.name, firstLine(body.head_commit.message), body.team.name, body.package.name, " +
    "body.security_advisory.summary, body.alert.security_advisory.summary, body.alert.rule.description, " +
    "body.alert.affected_package_name, body.workflow_run.name, " +
    "first(body.workflow_job.name, body.check_run.name, body.forkee.full_name, body.key.title, body.pages[0].title, " +
    "body.deployment.environment, body.project.name, body.project_column.name, body.project_card.note, body.ref, " +
    "body.merge_group.head_ref, body.member.login, body.blocked_user.login))",
  said:
    "= first(body.comment.body, body.review.body, body.issue.body, body.pull_request.body, body.discussion.body, " +
    "body.release.body, body.head_commit.message, body.security_advisory.description, body.milestone.description, " +
    "body.alert.rule.full_description, body.deployment_status.description, body.description, body.zen)",
  page:
    "= first(body.comment.html_url, body.review.html_url, body.alert.html_url, body.workflow_run.html_url, " +
    "body.workflow_job.html_url, body.check_run.html_url, body.pull_request.html_url, body.issue.html_url, " +
    "body.discussion.html_url, body.release.html_url, body.compare, body.package.html_url, body.target_url, " +
    "first(body.deployment_status.target_url, body.milestone.html_url, body.repository.html_url, " +
    "body.sender.html_url))",
} as const;

const LABELS = {
  repository: "= body.repository.full_name",
  organization: "= body.organization.login",
  branch: "= branch",
  action: "= body.action",
  sender: "= body.sender.login",
} as const;

const RUN_STATUS =
  "'failure', 'firing', 'timed_out', 'firing', 'startup_failure', 'firing', 'error', 'firing', " +
  "'success', 'succeeded', 'event')";
/** Words of titles: `CI failed on main`. */
const RUN_WORDS =
  "'failure', 'failed', 'success', 'succeeded', 'timed_out', 'timed out', 'cancelled', 'was cancelled', " +
  "'skipped', 'was skipped', 'startup_failure', 'could not start', 'action_required', 'needs an action', ";
const RUN_LEVEL = "'failure', 'error', 'timed_out', 'error', 'startup_failure', 'error', 'error', 'error', 'info')";

type Case = NonNullable<Mapping["cases"]>[number];

/** Runs, checks, statuses and deployments end well or badly: an alert per branch or environment. */
function runCase(event: string, names: { readonly state: string; readonly name: string; readonly key: string }): Case {
  const { state, name, key } = names;
  const target = event === "deployment_status" ? "body.deployment.environment" : "branch";
  return {
    when: `hook == '${event}' and exists(${state}) and ${state} != null`,
    output: "both",
    status: `= lookup(${state}, ${RUN_STATUS}`,
    level: `= lookup(${state}, ${RUN_LEVEL}`,
    title: `= concat(who, ': ', ${name}, ' ', lookup(${state}, ${RUN_WORDS}${state}), ' on ', ${target})`,
    key: `= concat('${event}/', who, '/', ${key})`,
  };
}

/** Alerts of code and dependencies. */
const SECURITY_CASE: Case = {
  when:
    "hook in ['dependabot_alert', 'code_scanning_alert', 'secret_scanning_alert', 'repository_vulnerability_alert'] " +
    "and exists(body.alert)",
  output: "both",
  status:
    "= lookup(body.action, 'created', 'firing', 'create', 'firing', 'reopened', 'firing', 'reintroduced', 'firing', " +
    "'appeared_in_branch', 'firing', 'auto_reopened', 'firing', 'reopen', 'firing', 'fixed', 'resolved', " +
    "'dismissed', 'resolved', 'dismiss', 'resolved', 'auto_dismissed', 'resolved', 'closed_by_user', 'resolved', " +
    "'resolved', 'resolved', 'resolve', 'resolved', 'event')",
  level:
    "= first(body.alert.security_advisory.severity, body.alert.rule.security_severity_level, " +
    "lookup(body.alert.rule.severity, 'note', 'info', body.alert.rule.severity), body.alert.severity, 'high')",
  title:
    "= concat(who, ': ', first(body.alert.security_advisory.summary, body.alert.rule.description, " +
    "body.alert.secret_type_display_name, body.alert.affected_package_name, 'security alert'), ' (', body.action, ')')",
  key: "= concat(hook, '/', who, '/', string(first(body.alert.number, body.alert.id)))",
};

const CASES: Case[] = [
  runCase("workflow_run", {
    state: "body.workflow_run.conclusion",
    name: "first(body.workflow_run.name, body.workflow.name, 'workflow')",
    key: "string(body.workflow_run.workflow_id), '/', branch",
  }),
  runCase("workflow_job", {
    state: "body.workflow_job.conclusion",
    name: "body.workflow_job.name",
    key: "first(body.workflow_job.workflow_name, ''), '/', body.workflow_job.name, '/', branch",
  }),
  runCase("check_suite", {
    state: "body.check_suite.conclusion",
    name: "first(body.check_suite.app.name, 'checks')",
    key: "first(body.check_suite.app.slug, ''), '/', branch",
  }),
  runCase("check_run", {
    state: "body.check_run.conclusion",
    name: "body.check_run.name",
    key: "body.check_run.name, '/', branch",
  }),
  runCase("status", { state: "body.state", name: "body.context", key: "body.context, '/', branch" }),
  runCase("deployment_status", {
    state: "body.deployment_status.state",
    name: "'deployment'",
    key: "body.deployment.environment",
  }),
  SECURITY_CASE,
  {
    when: "hook == 'push' and body.head_commit != null and body.sender != null",
    title:
      "= concat(who, ': ', body.sender.login, ' pushed to ', replace(body.ref, 'refs/heads/', ''), ': ', " +
      "firstLine(body.head_commit.message))",
  },
  {
    when: "hook == 'star' and body.sender != null",
    title: "= concat(who, body.action == 'deleted' ? ': star removed by ' : ': starred by ', body.sender.login)",
  },
  {
    when: "hook == 'ping'",
    title: "= concat(who, ': the webhook works')",
    message: "= body.zen",
  },
];

const MAPPING: Mapping = {
  output: "events",
  type: "= concat('github.', hook, body.action == null ? '' : concat('.', body.action))",
  level: "= first(body.security_advisory.severity, 'info')",
  title:
    "= concat(who, ': ', replace(hook, '_', ' '), body.action == null ? '' : concat(' ', replace(body.action, " +
    "'_', ' ')), " +
    "number == null ? '' : concat(' #', number), subject == null ? '' : concat(': ', subject))",
  message: "= said",
  status: "event",
  link: "= page",
  labels: LABELS,
  cases: CASES,
};

const SIGNATURE = {
  scheme: "hmac",
  algorithm: "sha256",
  encoding: "hex",
  signed: ["{body}"],
  keyForm: "text",
} as const;

/** Webhooks of repositories, organizations and apps of GitHub. */
const github: ReceiverPreset = {
  name: "github",
  title: "GitHub",
  group: "platforms",
  docs: "github",
  secret: "optional",
  secretTitle: "Secret",
  setup: [
    "Repository or organization, Settings, Webhooks, Add webhook: Payload URL {url}.",
    "Content type application/json, and a secret, which is the receiver's secret.",
    "Choose the events; GitHub sends a ping at once.",
  ],
  methods: ["POST"],
  verify: [{ ...SIGNATURE, signed: ["{body}"], header: "x-hub-signature-256", prefix: "sha256=" }],
  replayId: "= headers['x-github-delivery']",
  shape: [["headers.x-github-event"]],
  mapping: {
    ...MAPPING,
    let: { hook: "= first(headers['x-github-event'], 'event')", ...NAMES },
    key: "= headers['x-github-delivery']",
  },
  sample: {
    headers: {
      "user-agent": "GitHub-Hookshot/044aadd",
      "x-github-event": "workflow_run",
      "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
      "x-github-hook-id": "292430182",
    },
    body: {
      action: "completed",
      workflow_run: {
        id: 289782451,
        name: "CI",
        head_branch: "main",
        head_sha: "3484a3fb816e0859fd6e1cea078d76385ff50625",
        run_number: 163,
        event: "push",
        status: "completed",
        conclusion: "failure",
        workflow_id: 2823525,
        html_url: "https://github.com/example/shop/actions/runs/289782451",
        created_at: "2026-01-31T08:00:05Z",
        updated_at: "2026-01-31T08:03:11Z",
      },
      workflow: { id: 2823525, name: "CI", path: ".github/workflows/ci.yml", state: "active" },
      repository: { id: 186853002, full_name: "example/shop", html_url: "https://github.com/example/shop" },
      organization: { login: "example" },
      sender: { login: "ada" },
    },
  },
};

/** Webhooks of Forgejo and Gitea, in Gitea's form. */
const forgejo: ReceiverPreset = {
  name: "forgejo",
  title: "Forgejo and Gitea",
  group: "platforms",
  docs: "forgejo",
  secret: "optional",
  secretTitle: "Secret",
  setup: [
    "Repository or organization, Settings, Webhooks, Add webhook, Forgejo (or Gitea): Target URL {url}.",
    "HTTP method POST, content type application/json, and a secret, which is the receiver's secret.",
    "Choose the events, and press Test delivery.",
  ],
  methods: ["POST"],
  verify: [
    { ...SIGNATURE, signed: ["{body}"], header: "x-forgejo-signature" },
    { ...SIGNATURE, signed: ["{body}"], header: "x-gitea-signature" },
    { ...SIGNATURE, signed: ["{body}"], header: "x-hub-signature-256", prefix: "sha256=" },
    { scheme: "credential" },
  ],
  replayId: "= first(headers['x-forgejo-delivery'], headers['x-gitea-delivery'])",
  shape: [["headers.x-forgejo-event|headers.x-gitea-event"]],
  mapping: {
    ...MAPPING,
    let: {
      hook: "= first(headers['x-forgejo-event'], headers['x-gitea-event'], 'event')",
      ...NAMES,
      who:
        "= first(body.repository.full_name, body.run.repository.full_name, body.organization.login, " +
        "body.sender.login)",
      branch:
        "= first(body.run.prettyref, body.workflow_run.head_branch, body.workflow_job.head_branch, " +
        "body.branches[0].name)",
    },
    type: "= concat('forgejo.', hook, body.action == null ? '' : concat('.', body.action))",
    key: "= first(headers['x-forgejo-delivery'], headers['x-gitea-delivery'])",
    cases: [
      // Runs of Forgejo Actions.
      {
        when: "startsWith(hook, 'action_run_')",
        output: "both",
        status:
          "= lookup(hook, 'action_run_failure', 'firing', 'action_run_recover', 'resolved', " +
          "'action_run_success', 'succeeded', 'event')",
        level: "= hook == 'action_run_failure' ? 'error' : 'info'",
        title:
          "= concat(who, ': ', first(body.run.title, body.run.workflow_id, 'run'), ' ', lookup(hook, " +
          "'action_run_failure', 'failed', 'action_run_recover', 'recovered', 'succeeded'))",
        key: "= concat('action_run/', who, '/', body.run.workflow_id, '/', branch)",
        link: "= body.run.html_url",
      },
      ...CASES,
    ],
  },
  sample: {
    headers: {
      "user-agent": "Go-http-client/1.1",
      "x-gitea-event": "issues",
      "x-gitea-event-type": "issues",
      "x-gitea-delivery": "f6266f16-1bf3-46a5-9ea4-602e06ead473",
    },
    body: {
      action: "opened",
      number: 7,
      issue: {
        id: 41,
        number: 7,
        title: "The build is slow",
        body: "It takes 20 minutes.",
        state: "open",
        html_url: "https://git.example/shop/web/issues/7",
      },
      repository: { id: 3, full_name: "shop/web", html_url: "https://git.example/shop/web" },
      sender: { id: 1, login: "ada" },
    },
  },
};

export const GIT_PRESETS = [github, forgejo] as const;
