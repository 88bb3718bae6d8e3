/*
 * How each part that could send something sends nothing for a mirror project. A new file that opens connections, or a
 * new kind of job, fails a test until it has a row here, and a test of its own if it sends for projects.
 */

const PAGES = "pages: PageSender asks right before the call";
const DELIVERIES = "deliveries: routeOf asks right before the call; planOf plans no attempt";
const READS = "reads only, or answers a handshake of a sender; tells no one";
const SERVER = "of the server, of no project";
const ASKS = "asks before it does";
/** The one exception. */
const PASSED_ON =
  "requests of a mirror are passed on to the system that still notifies people, which its senders no longer reach: " +
  "only to forwardUrl, which owners set, and only while the project is a mirror (intake/receivers/forward.test.ts)";

/** Files under src/features that open connections. */
export const MIRRORED_CODE: Readonly<Record<string, string>> = {
  "access/authenticate/issuer-tokens.ts": READS,
  "access/doctor.ts": READS,
  "access/oidc/outgoing.ts": READS,
  "alerts/open.ts": PAGES,
  "channels/mail/client.ts": `${PAGES}; ${DELIVERIES}; mail jobs: attemptMail asks`,
  "channels/mail/mail-test.ts": SERVER,
  "channels/open.ts": `${PAGES}; ${DELIVERIES}; a test by hand is refused`,
  "channels/push/apns-client.ts": `${PAGES}; ${DELIVERIES}`,
  "channels/push/http.ts": `${PAGES}; ${DELIVERIES}`,
  "channels/pusher/client.ts": `${PAGES}; ${DELIVERIES}`,
  "channels/webhook/safe-fetch.ts": "only makes the requests of the others",
  "delivery/calls/connect.ts": "only makes the connections of the others",
  "delivery/channel-calls.ts": `${PAGES}; ${DELIVERIES}`,
  "delivery/doctor.ts": READS,
  "delivery/feature.ts": "only hands out the client; a browser's test push is the caller's own",
  "delivery/webhooks/feature.ts": "a test by hand is refused",
  "health/emergency/call-url.ts": "incidents of mirrors are no reason: Incidents.unreached",
  "health/emergency/ways.ts": "incidents of mirrors are no reason: Incidents.unreached",
  "health/watch/outgoing.ts": SERVER,
  "intake/forward/forwards.ts": PASSED_ON,
  "intake/receivers/feature.ts": READS,
  "notifications/sounds/open-sounds.ts": READS,
  "oncall/feature.ts": READS,
  "protocols/alertmanager/import/http.ts": READS,
  "protocols/pusher/feature.ts": SERVER,
};

/** Kinds of jobs. */
export const MIRRORED_JOBS: Readonly<Record<string, string>> = {
  "notification.deliver": DELIVERIES,
  "delivery.attempt": DELIVERIES,
  "delivery.merge": "those of mirrors are skipped, not merged",
  mail: "attemptMail asks",
  "channel.message": PAGES,
  "incident.contact": PAGES,
  "incident.ways": ASKS,
  "incident.webhook": PAGES,
  "project.ways.delete": "a deleted project is no mirror",
  "schedule.skipped": SERVER,
  notification: DELIVERIES,
  timer: DELIVERIES,
  "retention.sweep": SERVER,
  "backup.create": SERVER,
  "backup.verify": SERVER,
  digest: DELIVERIES,
  "digest.default": DELIVERIES,
  "digest.weekly": DELIVERIES,
  alert: DELIVERIES,
  "event.process": "rules for all projects do not see events of mirrors: Decider; their notifications are deliveries",
  "project.events.delete": "deletes only",
  "message.deliver": "of people to each other, in the app",
  "notification.recipients": DELIVERIES,
  "suppression.storm": "of a rule of the project: a delivery; rules for all projects do not see events of mirrors",
  "ntfy.topic.delete": "deletes only",
  "sound.remove": "deletes only",
  "status-change": "its mails are mail jobs",
  "status-mail": "its mails are mail jobs",
  "bucket.check": SERVER,
  "bucket.event": SERVER,
};
