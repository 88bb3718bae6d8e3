import type { ReceiverPreset } from "../preset.ts";

const READ = {
  output: "events",
  // Without a color the sender states none.
  level: "= parsed.level",
  title: "= parsed.title",
  message: "= parsed.message",
  status: "event",
  link: "= parsed.link",
  labels: { "*": "= parsed.fields", author: "= parsed.author" },
} as const;

/** For programs that can send to Slack's incoming webhooks only. */
const slack = {
  name: "slack",
  title: "Slack-compatible URL",
  group: "chat",
  docs: "slack-compatible",
  secret: "none",
  setup: [
    "Choose Slack as the target in the program.",
    "Enter {url} as the webhook URL.",
    "Send a test: text, blocks and attachments are read.",
  ],
  methods: ["POST"],
  verify: [],
  hook: "slack",
  handshake: "slack",
  shape: [["body.blocks.0.type"], ["body.attachments.0.fallback|body.attachments.0.color|body.attachments.0.text"]],
  mapping: { ...READ, type: "slack.message" },
  answer: { status: 200, type: "text/plain", body: "ok" },
  errors: "slack",
  sample: {
    body: {
      username: "Backup",
      icon_emoji: ":floppy_disk:",
      text: "Backup of *db-1* failed: <https://backup.example/runs/7|run 7>",
      attachments: [
        {
          color: "danger",
          title: "No space left",
          title_link: "https://backup.example/runs/7",
          text: "/mnt/backup is full",
          fields: [{ title: "Host", value: "db-1", short: true }],
        },
      ],
    },
  },
} as const satisfies ReceiverPreset;

/** For programs that can send to Discord's webhooks only. */
const discord = {
  name: "discord",
  title: "Discord-compatible URL",
  group: "chat",
  docs: "discord-compatible",
  secret: "none",
  setup: [
    "Choose Discord as the target in the program.",
    "Enter {url} as the webhook URL; the suffixes /slack and /github work as well.",
    "Send a test: content and embeds are read. A program that wants the host discord.com cannot be used.",
  ],
  methods: ["POST", "GET"],
  verify: [],
  hook: "discord",
  shape: [["body.embeds.0.title|body.embeds.0.description|body.embeds.0.fields"]],
  mapping: { ...READ, type: "discord.message" },
  answer: { status: 204 },
  errors: "discord",
  sample: {
    body: {
      username: "Backup",
      content: "Backup of db-1 failed",
      embeds: [
        {
          title: "No space left",
          description: "/mnt/backup is full",
          url: "https://backup.example/runs/7",
          color: 15158332,
          fields: [{ name: "Host", value: "db-1", inline: true }],
        },
      ],
    },
  },
} as const satisfies ReceiverPreset;

export const CHAT_PRESETS = [slack, discord] as const;
