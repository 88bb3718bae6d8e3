import { anyOf, type SenderRow } from "./row.ts";

/** Ways in which a repository is named: Bitbucket Cloud and Gogs, and Bitbucket Data Center. */
const REPOSITORIES = [
  { has: "repository.full_name", repository: "{{ repository.full_name }}" },
  { has: "repository.project.key", repository: "{{ repository.project.key }}/{{ repository.slug, repository.name }}" },
];
const ACTOR = "actor.display_name, actor.displayName, pusher.username, sender.login";
const BRANCH = "push.changes.0.new.name, push.changes.0.old.name, changes.0.ref.displayId, ref";
const PULL = "pull_request|pullRequest|pullrequest";
const SAID = "comment.content.raw, comment.text, comment.body";
const PAGE = "repository.links.html.href";

/** Bitbucket Cloud, Bitbucket Data Center and Gogs. */
const REPOSITORY_ROWS = REPOSITORIES.flatMap(({ has, repository }): SenderRow[] => {
  const when = [has, anyOf(ACTOR)];
  const common = {
    name: "repository",
    labels: { repository, branch: `{{ ${BRANCH} | branch }}`, actor: `{{ ${ACTOR} }}` },
  };
  return [
    {
      ...common,
      when: [...when, "commit_status"],
      kind: "build",
      title: [
        repository,
        `build {{ commit_status.name, commit_status.key }} {{ commit_status.state | lower }} by {{ ${ACTOR} }}`,
      ],
      text: ["{{ commit_status.description }}"],
      level: "{{ commit_status.state }}",
      levels: { failed: "error", "*": "info" },
      key: [repository, "{{ commit_status.refname }}", "{{ commit_status.key }}"],
      state: "{{ commit_status.state }}",
      states: { failed: "firing", successful: "succeeded", "*": "event" },
      link: `{{ commit_status.url, ${PAGE} }}`,
    },
    {
      ...common,
      when: [...when, PULL],
      kind: "pull request",
      title: [
        repository,
        `pull request #{{ pullrequest.id, pullrequest.number }} {{ pullrequest.title }} by {{ ${ACTOR} }}`,
      ],
      text: [`{{ ${SAID}, pullrequest.description }}`],
      level: "info",
      link: `{{ pullrequest.links.html.href, pullRequest.links.self.0.href, pull_request.html_url, ${PAGE} }}`,
    },
    {
      ...common,
      when: [...when, "issue"],
      kind: "issue",
      title: [
        repository,
        `issue #{{ issue.id, issue.number }} {{ issue.title }} by {{ ${ACTOR} }} || issue {{ issue.title }} by {{ ${ACTOR} }}`,
      ],
      text: [`{{ ${SAID} }}`],
      level: "info",
      link: `{{ issue.links.html.href, ${PAGE} }}`,
    },
    {
      ...common,
      when: [...when, anyOf(BRANCH)],
      kind: "push",
      title: [repository, `push to {{ ${BRANCH} | branch }} by {{ ${ACTOR} }}`],
      text: [`{{ ${SAID}, push.changes.0.commits.0.message, commits.0.message }}`],
      level: "info",
      link: `{{ push.changes.0.links.html.href, compare_url, ${PAGE} }}`,
    },
  ];
});

const DEVOPS_RESULT = "resource.result, resource.status";
const CIRCLE_STATUS = "workflow.status, job.status";
const FAILED = { failed: "error", error: "error", errored: "error", "*": "info" } as const;
/** Each run of a pipeline is reported, also one that succeeds after another that did. */
const RUN: NonNullable<SenderRow["states"]> = {
  ...{ failed: "firing", failure: "firing", error: "firing", errored: "firing", timedout: "firing" },
  ...{ success: "succeeded", succeeded: "succeeded", successful: "succeeded", passed: "succeeded", ok: "succeeded" },
  ...{ ready: "succeeded", "*": "event" },
};

const LINEAR: SenderRow = {
  name: "linear",
  when: ["action", "type", "data", "webhookTimestamp"],
  kind: "{{ type }} {{ action }}",
  title: [
    "{{ type | words }} {{ action | past }}",
    "{{ data.identifier, data.issue.identifier }} {{ data.title, data.name, data.issue.title }} || {{ data.title, data.name, data.issue.title, data.identifier }}",
  ],
  text: ["{{ data.body, data.description }} || state {{ data.state.name }}"],
  link: "{{ url, data.url }}",
  labels: { actor: "{{ actor.name }}", state: "{{ data.state.name }}", team: "{{ data.team.key }}" },
};

/** Code, builds, deployments and issues. */
export const CODE_ROWS: readonly SenderRow[] = [
  {
    name: "azure-devops",
    when: ["publisherId", "message.text"],
    kind: "{{ eventType }}",
    title: ["{{ message.text | start }}"],
    text: ["{{ detailedMessage.text, message.text }}"],
    level: `{{ ${DEVOPS_RESULT} }}`,
    levels: { failed: "error", partiallysucceeded: "warning", "*": "info" },
    link: "{{ resource._links.web.href }}",
    labels: {
      project: "{{ resource.project.name, resource.repository.project.name }}",
      result: `{{ ${DEVOPS_RESULT} }}`,
    },
  },
  {
    name: "circleci",
    when: ["type", "workflow|job", "happened_at"],
    kind: "{{ type }}",
    title: [
      "{{ project.name }}",
      `{{ workflow.name, job.name }} {{ ${CIRCLE_STATUS} }} || {{ workflow.name, job.name }} {{ type | last }}`,
    ],
    text: ["{{ pipeline.vcs.commit.subject, pipeline.vcs.branch }}"],
    level: `{{ ${CIRCLE_STATUS} }} || {{ type | last }}`,
    levels: FAILED,
    key: ["{{ project.name }}", "{{ workflow.name, job.name }}", "{{ pipeline.vcs.branch }}"],
    state: `{{ ${CIRCLE_STATUS} }} || {{ type | last }}`,
    states: RUN,
    link: "{{ workflow.url, job.url }}",
    labels: { branch: "{{ pipeline.vcs.branch }}" },
  },
  {
    name: "vercel",
    when: ["type", "payload.deployment"],
    kind: "{{ type }}",
    title: ["{{ project.name, payload.deployment.name, payload.name }}", "deployment {{ type | last }}"],
    text: ["{{ payload.deployment.meta.githubCommitMessage, payload.deployment.meta.githubCommitRef }}"],
    level: "{{ type | last }}",
    levels: FAILED,
    key: [
      "{{ project.name, payload.deployment.name, payload.name }}",
      "deployment",
      "{{ payload.deployment.meta.githubCommitRef }}",
    ],
    state: "{{ type | last }}",
    states: RUN,
    link: "{{ payload.links.deployment }}",
    labels: { branch: "{{ payload.deployment.meta.githubCommitRef }}" },
  },
  {
    name: "netlify",
    when: ["site_id", "state", "admin_url|deploy_url|ssl_url"],
    kind: "deploy {{ state }}",
    title: ["{{ name }}", "deploy of {{ branch }} {{ state }} || deploy {{ state }}"],
    text: ["{{ error_message }}", "{{ title }}", "context {{ context }}"],
    key: ["{{ site_id }}", "{{ branch }}"],
    state: "{{ state }}",
    states: RUN,
    link: "{{ deploy_ssl_url, admin_url, ssl_url, url }}",
    labels: { site: "{{ name }}", branch: "{{ branch }}", context: "{{ context }}" },
  },
  {
    name: "rundeck",
    when: ["trigger", "execution.job|execution.project"],
    kind: "{{ trigger }}",
    title: ["{{ execution.project }}", "{{ execution.job.name, executionId }} {{ status, trigger }}"],
    text: ["{{ execution.description }}", "{{ execution.job.description }}", "group {{ execution.job.group }}"],
    key: ["{{ execution.job.id }}"],
    state: "{{ status, trigger }}",
    states: RUN,
    link: "{{ execution.permalink, execution.href }}",
    labels: { job: "{{ execution.job.name }}", project: "{{ execution.project }}" },
  },
  {
    name: "awx",
    when: ["friendly_name", "name", "status", "inventory|project|created_by"],
    kind: "{{ status }}",
    title: ["{{ friendly_name }} {{ name }}", "{{ status }}"],
    text: [
      "Failed on {{ hosts.['failed=true'].$names }}",
      "{{ playbook }} on {{ inventory }} || {{ playbook, inventory, project }}",
      "{{ traceback }}",
    ],
    key: ["{{ friendly_name }}", "{{ name }}", "{{ inventory }}"],
    state: "{{ status }}",
    states: { ...RUN, canceled: "event", running: "event", pending: "event" },
    link: "{{ url }}",
    labels: { job: "{{ name }}", inventory: "{{ inventory }}", project: "{{ project }}" },
  },
  {
    name: "gocd",
    when: ["data.pipeline.name", "data.pipeline.stage.name"],
    kind: "stage {{ data.pipeline.stage.result }}",
    title: ["{{ data.pipeline.name }}", "stage {{ data.pipeline.stage.name }} {{ data.pipeline.stage.result }}"],
    text: [
      "Failed: {{ data.pipeline.stage.jobs.['result=failed'].name }}",
      "Run {{ data.pipeline.counter }}/{{ data.pipeline.stage.counter }}",
    ],
    key: ["{{ data.pipeline.name }}", "{{ data.pipeline.stage.name }}"],
    state: "{{ data.pipeline.stage.result }}",
    states: RUN,
    labels: { pipeline: "{{ data.pipeline.name }}", stage: "{{ data.pipeline.stage.name }}" },
  },
  {
    name: "sonarqube",
    when: ["qualityGate.status", "project.key"],
    kind: "quality gate",
    title: [
      "{{ project.name, project.key }} ({{ branch.name }}) || {{ project.name, project.key }}",
      "quality gate {{ qualityGate.status }}",
    ],
    text: ["Failed: {{ qualityGate.conditions.['status=error'].metric }}", "gate {{ qualityGate.name }}"],
    key: ["{{ project.key }}", "{{ branch.name }}"],
    state: "{{ qualityGate.status }}",
    states: RUN,
    link: "{{ branch.url, project.url, serverUrl }}",
    labels: { project: "{{ project.key }}", branch: "{{ branch.name }}" },
  },
  {
    name: "teamcity",
    when: ["build.buildTypeId", "build.buildResult"],
    kind: "build {{ build.buildResult }}",
    title: ["{{ build.buildFullName, build.buildName }} #{{ build.buildNumber }}", "{{ build.buildResult }}"],
    text: [
      "{{ build.buildStatus | meaningful }}",
      "{{ build.buildResultDelta | meaningful }}",
      "by {{ build.triggeredBy }}",
      "on {{ build.agentName }}",
    ],
    key: ["{{ build.buildTypeId }}"],
    state: "{{ build.buildResult }}",
    states: RUN,
    link: "{{ build.buildStatusUrl }}",
    labels: { build: "{{ build.buildTypeId }}", project: "{{ build.projectName }}" },
  },
  {
    name: "buildkite",
    when: ["event", "build.state", "pipeline.slug"],
    kind: "{{ event }}",
    title: ["{{ pipeline.name, pipeline.slug }} #{{ build.number }}", "{{ build.state }}"],
    text: ["{{ build.message | start }}", "{{ build.branch }}"],
    key: ["{{ pipeline.slug }}", "{{ build.branch }}"],
    state: "{{ build.state }}",
    states: RUN,
    link: "{{ build.web_url }}",
    labels: { branch: "{{ build.branch }}" },
  },
  {
    name: "drone",
    when: ["event", "repo.slug", "build.status"],
    kind: "{{ event }} {{ action | default:'' }}",
    title: ["{{ repo.slug }} #{{ build.number }}", "{{ build.status }}"],
    text: ["{{ build.message | start }}", "{{ build.target, build.source }}"],
    key: ["{{ repo.slug }}", "{{ build.target }}"],
    state: "{{ build.status }}",
    states: RUN,
    link: "{{ build.link, repo.link }}",
    labels: { repository: "{{ repo.slug }}", branch: "{{ build.target }}" },
  },
  {
    name: "harbor",
    when: [
      "type",
      "event_data.repository|event_data.resources|event_data.replication|event_data.retention",
      "operator",
    ],
    kind: "{{ type }}",
    title: [
      "{{ event_data.repository.repo_full_name }}:{{ event_data.resources.0.tag }} || {{ event_data.repository.repo_full_name }}",
      "{{ type | words }}",
    ],
    text: [
      "{{ event_data.custom_attributes.Details }}",
      "{{ event_data.resources.0.resource_url }}",
      "{{ event_data.replication.job_status }}",
      "by {{ operator }}",
    ],
    level: "{{ type | last }}",
    levels: { failed: "error", exceed: "error", warning: "warning", "*": "" },
    labels: { repository: "{{ event_data.repository.repo_full_name }}", operator: "{{ operator }}" },
  },
  {
    name: "flux",
    when: ["involvedObject.name", "severity"],
    kind: "{{ reason }}",
    title: [
      "{{ involvedObject.kind }}/{{ involvedObject.namespace }}/{{ involvedObject.name }} || {{ involvedObject.kind }}/{{ involvedObject.name }}",
      "{{ reason }}",
    ],
    text: ["{{ message }}"],
    level: "{{ severity }}",
    labels: {
      object: "{{ involvedObject.kind }}/{{ involvedObject.namespace }}/{{ involvedObject.name }}",
      controller: "{{ reportingController }}",
    },
  },
  // Only a new issue needs someone: changes of an urgent one are as many as those of any other.
  {
    ...LINEAR,
    when: [...LINEAR.when, "action=create"],
    level: "{{ data.priority }}",
    levels: { 1: "critical", 2: "error", "*": "" },
  },
  LINEAR,
  {
    name: "jira",
    when: ["webhookEvent"],
    kind: "{{ webhookEvent | event }}",
    title: ["{{ webhookEvent | event | capital }}", "{{ issue.key }} {{ issue.fields.summary }} || {{ issue.key }}"],
    text: ["{{ comment.body, issue.fields.description, issue.fields.status.name }}"],
    link: "{{ issue.self | site }}/browse/{{ issue.key }}",
    labels: {
      actor: "{{ user.displayName, comment.author.displayName }}",
      state: "{{ issue.fields.status.name }}",
      priority: "{{ issue.fields.priority.name }}",
    },
  },
  {
    name: "raygun",
    when: ["event=errornotification|erroractivity", "eventType", "error"],
    kind: "{{ eventType }}",
    title: ["{{ application.name }}", "{{ error.message }} || {{ eventType | words }}"],
    text: [
      "{{ eventType | words }}",
      "{{ error.totalOccurrences }} occurrences, {{ error.usersAffected }} users",
      "{{ error.activity }}",
    ],
    level: "{{ eventType }}",
    levels: { newerroroccurred: "error", errorreoccurred: "error", "*": "" },
    link: "{{ error.url, application.url }}",
    labels: { application: "{{ application.name }}" },
  },
  {
    name: "rollbar",
    when: ["event_name", "data.item"],
    kind: "{{ event_name }}",
    title: ["{{ event_name | capital }}", "{{ data.item.title }}"],
    text: ["{{ data.item.environment }}, {{ data.occurrences }} occurrences || {{ data.item.environment }}"],
    level: "{{ data.item.level }}",
    levels: { 10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical" },
    keepsLevel: true,
    key: ["{{ data.item.id }}"],
    state: "{{ event_name }}",
    states: { resolveditem: "resolved", "*": "firing" },
    link: "{{ data.url, data.item.url, url }}",
    labels: { environment: "{{ data.item.environment }}", counter: "{{ data.item.counter }}" },
  },
  {
    name: "rollbar",
    when: ["event_name", "data.deploy"],
    kind: "{{ event_name }}",
    title: ["{{ event_name | capital }}", "{{ data.deploy.environment }}"],
    text: ["{{ data.deploy.comment }}"],
    level: "info",
  },
  ...REPOSITORY_ROWS,
];
