import type { ReceiverPreset } from "../preset.ts";

/** Jenkins' Notification plugin. */
const jenkins = {
  name: "jenkins",
  title: "Jenkins",
  group: "platforms",
  docs: "jenkins",
  secret: "optional",
  secretTitle: "Parameter token of the URL",
  setup: [
    "Install the plugin Notification.",
    "Job, Configure, Job Notifications, Add Endpoint: format JSON, protocol HTTP, event Job Finalized.",
    "URL: {url}",
  ],
  methods: ["POST"],
  verify: [{ scheme: "credential" }],
  shape: [["body.build.phase", "body.build.number", "body.name"]],
  mapping: {
    let: {
      state: "= upper(body.build.status)",
      name: "= first(body.display_name, body.name)",
    },
    output: "both",
    type: "= concat('jenkins.', lower(first(state, body.build.phase)))",
    level: "= lookup(state, 'FAILURE', 'error', 'UNSTABLE', 'warning', 'SUCCESS', 'info')",
    title:
      "= concat(name, ' #', string(body.build.number), ' ', lookup(state, 'FAILURE', 'failed', 'SUCCESS', " +
      "'succeeded', 'UNSTABLE', 'is unstable', 'ABORTED', 'was aborted', lower(first(state, body.build.phase))))",
    message: "= firstText(body.build.notes, body.build.log)",
    // The URL of the job: branches of several pipelines have the same name.
    key: "= concat('jenkins/', first(body.url, body.name))",
    status: "= lookup(state, 'FAILURE', 'firing', 'UNSTABLE', 'firing', 'SUCCESS', 'succeeded', 'event')",
    link: "= body.build.full_url",
    labels: { job: "= name", branch: "= body.build.scm.branch", commit: "= body.build.scm.commit" },
    cases: [{ when: "exists(body.build.phase) and body.build.phase != 'FINALIZED'", skip: true }],
  },
  sample: {
    body: {
      name: "shop-web",
      display_name: "shop-web",
      url: "job/shop-web/",
      build: {
        full_url: "https://jenkins.example/job/shop-web/18/",
        number: 18,
        queue_id: 41,
        timestamp: 1769846405123,
        duration: 61230,
        phase: "FINALIZED",
        status: "FAILURE",
        url: "job/shop-web/18/",
        scm: {
          url: "https://git.example/shop/web.git",
          branch: "origin/main",
          commit: "c6d86dc654b12425e706bcf951adfe5a8627a517",
        },
        log: "",
        notes: "",
        artifacts: {},
      },
    },
  },
} as const satisfies ReceiverPreset;

/** Argo CD Notifications: the template of docs/integrations/argocd.md. */
const argocd = {
  name: "argocd",
  title: "Argo CD",
  group: "platforms",
  docs: "argocd",
  secret: "optional",
  secretTitle: "Token in the headers of the service",
  setup: [
    "Add the service webhook.prism with the URL {url}, and the template, to argocd-notifications-cm.",
    "The template has method: POST; Argo CD's default is GET.",
    "kubectl -n argocd annotate app my-app notifications.argoproj.io/subscribe.on-prism.prism=''",
  ],
  methods: ["POST"],
  verify: [{ scheme: "credential" }],
  shape: [["body.source=argocd", "body.id", "body.health"]],
  mapping: {
    let: { isFailed: "= body.health == 'Degraded' or body.phase in ['Failed', 'Error']" },
    output: "both",
    type: "= isFailed ? 'argocd.failed' : 'argocd.changed'",
    level: "= isFailed ? 'error' : lookup(body.health, 'Missing', 'warning', 'Healthy', 'info', 'Progressing', 'info')",
    title: "= concat(body.id, ': ', first(body.health, 'Unknown'), ', ', first(body.sync, 'Unknown'))",
    message: "= firstText(body.message, body.phase)",
    key: "= concat('argocd/', body.id)",
    status: "= isFailed ? 'firing' : lookup(body.health, 'Healthy', 'succeeded', 'event')",
    link: "= body.url",
    labels: { app: "= body.id", revision: "= body.revision", health: "= body.health", sync: "= body.sync" },
  },
  sample: {
    body: {
      source: "argocd",
      id: "shop-web",
      health: "Degraded",
      sync: "Synced",
      phase: "Succeeded",
      message: "successfully synced (all tasks run)",
      revision: "9f2c1a7",
      url: "https://argocd.example/applications/shop-web",
    },
  },
} as const satisfies ReceiverPreset;

/** Docker Hub's webhook of a repository. */
const dockerhub = {
  name: "dockerhub",
  title: "Docker Hub",
  group: "platforms",
  docs: "dockerhub",
  secret: "optional",
  secretTitle: "Parameter token of the URL",
  setup: [
    "Open the repository on hub.docker.com, then Webhooks.",
    "Name prism, Webhook URL {url}, and press the plus sign.",
    "Push a tag: Docker Hub sends no test.",
  ],
  methods: ["POST"],
  verify: [{ scheme: "credential" }],
  shape: [["body.push_data.tag", "body.repository.repo_name"]],
  mapping: {
    output: "events",
    type: "dockerhub.push",
    title: "{{ body.repository.repo_name }}:{{ body.push_data.tag }} was pushed",
    message: "= concat('Pushed by ', first(body.push_data.pusher, 'an automated build'))",
    key: "= concat(body.repository.repo_name, ':', body.push_data.tag)",
    time: "= body.push_data.pushed_at",
    link: "= body.repository.repo_url",
    labels: {
      repository: "= body.repository.repo_name",
      tag: "= body.push_data.tag",
      pusher: "= body.push_data.pusher",
    },
  },
  sample: {
    body: {
      callback_url: "https://registry.hub.docker.com/u/example/shop/hook/2141b5bi5i5b02bec211i4eeih0242eg11000a/",
      push_data: { pushed_at: 1769846405, pusher: "ada", tag: "1.4.2", images: null, media_type: null },
      repository: {
        comment_count: 0,
        date_created: 1700000000,
        description: "The shop",
        dockerfile: "",
        full_description: "",
        is_official: false,
        is_private: true,
        is_trusted: false,
        name: "shop",
        namespace: "example",
        owner: "example",
        repo_name: "example/shop",
        repo_url: "https://hub.docker.com/r/example/shop",
        star_count: 0,
        status: "Active",
      },
    },
  },
} as const satisfies ReceiverPreset;

export const DELIVERY_PRESETS = [jenkins, argocd, dockerhub] as const;
