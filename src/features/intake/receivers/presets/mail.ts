import type { ReceiverPreset } from "../preset.ts";

/** Mails that the SMTP listener takes (docs/integrations/mail.md); a gateway may post the same JSON. */
export const mail = {
  name: "mail",
  title: "Mail",
  group: "generic",
  docs: "mail",
  secret: "none",
  setup: [
    "Set mailIn.port and mailIn.domain in the configuration, and restart Prism.",
    "The mail address, shown with the URL, is the last part of {url}, then @ and the domain.",
    "Send a mail: PROBLEM: and OK: at the start of a subject fire and resolve an alert, other mails are events.",
  ],
  methods: ["POST"],
  verify: [],
  // A gateway that posts mails may send Message-IDs only.
  replayId: "= first(body.replayId, body.messageId)",
  mapping: {
    when: "body.automatic == null",
    output: "alerts",
    type: "= body.status == 'event' ? 'mail.received' : concat('mail.', body.status)",
    level: "= body.level",
    title: "= first(body.title, '(no subject)')",
    message: "= body.text",
    key: "= body.key",
    status: "= body.status",
    labels: { from: "= body.from.address" },
  },
  sample: {
    body: {
      title: "db-1/disk",
      status: "firing",
      level: "critical",
      subject: "PROBLEM: db-1/disk is CRITICAL",
      text: "/var is 97 % full",
      from: { name: "Nagios", address: "nagios@example.org" },
      messageId: "20260131081500.1@example.org",
      thread: null,
      date: "2026-01-31T08:15:00.000Z",
      isImportant: false,
      automatic: null,
      attachments: [],
      isCut: false,
      key: "db-1/disk",
    },
  },
} as const satisfies ReceiverPreset;
