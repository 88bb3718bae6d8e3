/* Actions of the audit trail in words: `oncall_shift.create` is "On-call shift created". */

/** Nouns that are not their code with blanks. */
const NOUNS: Readonly<Record<string, string>> = {
  audit: "Audit trail",
  claim: "Claim of an integration key",
  config: "Settings",
  configuration: "Configuration files",
  drill_preferences: "Time of the drill",
  gotify_application: "Gotify application",
  gotify_client: "Gotify client",
  integration: "Integration key",
  key: "API key",
  member: "Member of a project",
  ntfy_access: "Access to an ntfy topic",
  ntfy_token: "ntfy token",
  ntfy_topic: "ntfy topic",
  oncall_days_off: "Days off",
  oncall_override: "On-call override",
  oncall_preferences: "On-call preferences",
  oncall_schedule: "On-call schedule",
  oncall_shift: "On-call shift",
  oncall_swap: "On-call swap",
  oncall_user: "Calendar link of a user",
  routing: "Routes",
  token: "Token",
  user: "Account",
};

const VERBS: Readonly<Record<string, string>> = {
  accept: "accepted",
  acknowledge: "acknowledged",
  acknowledged: "acknowledged",
  add: "added",
  apply: "applied",
  approve: "approved",
  assign: "assigned",
  balance: "balance changed",
  break: "stopped after errors",
  bulk: "changed with others",
  cancel: "cancelled",
  change: "changed",
  checkpoint: "shortened, with a checkpoint",
  close: "closed",
  compare: "compared",
  confirm: "confirmed",
  contact_rules: "contact rules changed",
  create: "created",
  decline: "declined",
  delete: "deleted",
  delivered: "delivered",
  disable: "disabled",
  discard: "discarded",
  download: "downloaded",
  drain: "drained",
  drill: "drill run",
  enable: "enabled",
  escalate: "escalated",
  expire: "ended",
  export: "exported",
  failed: "failed",
  hand_over: "handed over",
  identity_link: "linked to a sign-in provider",
  identity_unlink: "unlinked from a sign-in provider",
  import: "imported",
  link: "linked",
  lock: "locked",
  mail_test: "tested by a mail",
  note: "noted on",
  open: "opened",
  page: "opened to page someone",
  passkey: "passkeys changed",
  pause: "paused",
  promote: "run now",
  reassign: "reassigned",
  register: "registered",
  reject: "rejected",
  reload: "loaded again",
  remove: "removed",
  replay: "given requests again",
  reprocess: "run again",
  requeue_dead: "run again after it failed for good",
  resolve: "resolved",
  responders: "given more responders",
  restore: "restored",
  resume: "resumed",
  retry: "tried again",
  revoke: "revoked",
  rotate: "replaced",
  run: "run",
  second_factor: "second factor changed",
  send: "sent",
  sent: "sent",
  set: "set",
  sign_in_link: "given a sign-in link",
  snooze: "snoozed",
  start: "started",
  step_down: "leader stepped down",
  take: "taken over",
  test: "tested",
  threshold: "threshold changed",
  unacknowledge: "no longer acknowledged",
  unlink: "unlinked",
  unlock: "unlocked",
  unsnooze: "woken from its snooze",
  unsubscribe: "unsubscribed",
  update: "changed",
  webview: "answered in its page",
};

/** Actions that a noun with a verb does not say well. */
const WHOLE: Readonly<Record<string, string>> = {
  "auth.login": "Signed in",
  "auth.login_failed": "Sign-in failed",
  "auth.logout": "Signed out",
  "auth.refresh_repeated": "A session was renewed twice",
  "auth.refresh_reused": "A used-up token of a session came again",
  "bucket.balance": "Balance of a bucket changed",
  "bucket.threshold": "Threshold of a bucket changed",
  "cluster.compare": "Copies of the cluster compared",
  "cluster.drill": "Change of the leader practised",
  "cluster.remove": "Node removed from the cluster",
  "config.mail_test": "Test mail sent",
  "config.reload": "Settings loaded again",
  "dev.token": "Token for development issued",
  "heartbeat.key": "Ping key of a project replaced",
  "incident.note": "Note added to an incident",
  "incident.page": "Person paged by an incident",
  "job.bulk": "Several jobs changed",
};

function wordsOf(code: string): string {
  const text = code.replace(/_/g, " ");
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** Whether an action has words of its own; for a test of all actions. @public */
export function isWorded(action: string): boolean {
  return action in WHOLE || (action.split(".")[1] ?? "") in VERBS;
}

/** What happened, in words; the code of one that is not known is taken apart. */
export function actionWords(action: string): string {
  const whole = WHOLE[action];
  if (whole !== undefined) return whole;
  const [noun = "", verb = ""] = action.split(".");
  return `${NOUNS[noun] ?? wordsOf(noun)} ${VERBS[verb] ?? verb.replace(/_/g, " ")}`.trim();
}
