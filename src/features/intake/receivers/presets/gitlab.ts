import type { ReceiverPreset } from "../preset.ts";

/** Webhooks of GitLab projects and groups: with the secret token, or signed. */
export const gitlab = {
  name: "gitlab",
  title: "GitLab",
  group: "platforms",
  docs: "gitlab",
  secret: "optional",
  secretTitle: "Signing token (whsec_…) or secret token",
  setup: [
    "Project or group, Settings, Webhooks, Add new webhook: URL {url}.",
    "Signing token (whsec_…), or Secret token in older versions: it is the receiver's secret.",
    "Choose triggers such as Pipeline events, and use Test.",
  ],
  methods: ["POST"],
  verify: [
    {
      scheme: "hmac",
      header: "webhook-signature",
      algorithm: "sha256",
      prefix: "v1,",
      separator: " ",
      encoding: "base64",
      signed: ["{id}", ".", "{ts}", ".", "{body}"],
      timestampHeader: "webhook-timestamp",
      idHeader: "webhook-id",
      keyForm: "whsec",
    },
    { scheme: "header", header: "x-gitlab-token" },
  ],
  replayId: "= first(headers['webhook-id'], headers['idempotency-key'], headers['x-gitlab-event-uuid'])",
  shape: [["headers.x-gitlab-event"], ["body.object_kind", "body.project.path_with_namespace|body.project_name"]],
  mapping: {
    let: {
      kind: "= first(body.object_kind, body.event_name, 'event')",
      project: "= first(body.project.path_with_namespace, body.project_name, body.group.full_path, 'GitLab')",
      object: "= body.object_attributes",
      ref: "= first(object.ref, body.ref, object.target_branch)",
      state: "= first(body.build_status, kind == 'pipeline' ? object.status : body.status)",
      subject: "= first(object.title, object.name, body.name, body.tag, body.ref, object.note, body.build_name)",
    },
    output: "both",
    type: "= concat('gitlab.', kind)",
    level: "= kind in ['pipeline', 'build', 'deployment'] and state == 'failed' ? 'error' : 'info'",
    title:
      "= concat(project, ': ', replace(kind, '_', ' '), object.action == null ? '' : concat(' ', object.action), " +
      "subject == null ? '' : concat(': ', firstLine(subject)))",
    message:
      "= firstText(object.note, object.description, object.detailed_status, body.description, body.commits[0].message)",
    key: "= first(headers['x-gitlab-event-uuid'], headers['webhook-id'])",
    status: "event",
    time: "= first(object.created_at, body.build_finished_at)",
    link: "= first(object.url, body.deployable_url, body.url, body.project.web_url, body.repository.homepage)",
    labels: {
      project: "= project",
      ref: "= ref",
      user: "= first(body.user.username, body.user_username)",
      environment: "= body.environment",
      job: "= body.build_name",
    },
    cases: [
      {
        when: "kind == 'pipeline'",
        title: "= concat(project, ': pipeline ', first(state, 'changed'), ' on ', ref)",
        key: "= concat('pipeline/', project, '/', ref)",
        status: "= lookup(state, 'failed', 'firing', 'success', 'succeeded', 'event')",
        time: "= object.finished_at",
      },
      {
        when: "kind == 'build'",
        title: "= concat(project, ': job ', body.build_name, ' ', first(state, 'changed'), ' on ', ref)",
        message: "= body.build_failure_reason",
        key: "= concat('job/', project, '/', ref, '/', body.build_name)",
        status:
          "= state == 'failed' and body.build_allow_failure == true ? 'event' : " +
          "lookup(state, 'failed', 'firing', 'success', 'succeeded', 'event')",
      },
      {
        when: "kind == 'deployment'",
        title: "= concat(project, ': deployment to ', body.environment, ' ', first(state, 'changed'))",
        key: "= concat('deployment/', project, '/', body.environment)",
        status: "= lookup(state, 'failed', 'firing', 'success', 'succeeded', 'event')",
      },
    ],
  },
  sample: {
    headers: {
      "user-agent": "GitLab/18.2.0",
      "x-gitlab-event": "Pipeline Hook",
      "x-gitlab-event-uuid": "13792a34-cac6-4fda-95a8-c58e00a3954e",
      "x-gitlab-webhook-uuid": "8a1b5e5c-9d0f-4a52-8a13-4d1d8c1f3c11",
      "x-gitlab-instance": "https://gitlab.example",
      "idempotency-key": "f5e5f430-f57b-4e6e-9fac-d9128cd7232f",
    },
    body: {
      object_kind: "pipeline",
      object_attributes: {
        id: 31,
        iid: 3,
        ref: "main",
        tag: false,
        sha: "bcbb5ec396a2c0f828686f14fac9b80b780504f2",
        source: "push",
        status: "failed",
        detailed_status: "failed",
        stages: ["build", "test"],
        created_at: "2026-01-31 08:00:05 UTC",
        finished_at: "2026-01-31 08:03:11 UTC",
        duration: 186,
        url: "https://gitlab.example/shop/web/-/pipelines/31",
      },
      user: { id: 1, name: "Ada Lovelace", username: "ada" },
      project: { id: 1, name: "Web", web_url: "https://gitlab.example/shop/web", path_with_namespace: "shop/web" },
      commit: { id: "bcbb5ec396a2c0f828686f14fac9b80b780504f2", title: "Faster search" },
      builds: [{ id: 380, stage: "test", name: "unit", status: "failed" }],
    },
  },
} as const satisfies ReceiverPreset;
