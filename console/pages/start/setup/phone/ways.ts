/** How a phone can ring. `own` needs no channel: the app reads a topic of Prism itself. */
export type Way = "own" | "ntfy" | "telegram" | "pushover" | "home-assistant" | "push";

interface WayText {
  readonly value: Way;
  readonly label: string;
  readonly hint: string;
  /** Hints if it does not ring. */
  readonly remedies: readonly string[];
}

const NTFY_APP = [
  "On Android, the app needs “Instant delivery” for the topic, and no restriction of its battery use.",
  "The app's settings may mute the topic, or show only messages of a higher priority.",
];

export const WAYS: readonly WayText[] = [
  {
    value: "own",
    label: "ntfy app, with Prism as its server",
    hint: "Android, at home without a domain. On an iPhone it shows messages only while it is open.",
    remedies: [
      "The phone must be in the same network. Open the server URL with /v1/health behind it in the phone's browser: it must show “healthy”. If it does not, look at the firewall of this computer.",
      ...NTFY_APP,
    ],
  },
  {
    value: "ntfy",
    label: "ntfy app, with ntfy.sh or another server",
    hint: "Android and iPhone. The messages pass that server.",
    remedies: ["The topic and the server in the app must be exactly those above.", ...NTFY_APP],
  },
  {
    value: "telegram",
    label: "Telegram",
    hint: "A bot of yours writes to you.",
    remedies: [
      "Open the chat with the bot: is the message there? Then the chat is muted.",
      "Otherwise the chat's id is that of another chat. Write to the bot and read the id again.",
    ],
  },
  {
    value: "pushover",
    label: "Pushover",
    hint: "Android and iPhone, with an account at pushover.net. Critical alerts repeat until they are acknowledged.",
    remedies: [
      "Log in to the Pushover app with the account of the user key, and open it once.",
      "Quiet hours in the app's settings mute everything but critical alerts.",
    ],
  },
  {
    value: "home-assistant",
    label: "Home Assistant",
    hint: "Its app on your phone.",
    remedies: [
      "The service must be that of the phone, such as mobile_app_phone; “notify” alone may be another one.",
      "In the app of Home Assistant, allow notifications: Settings → Companion app → Notifications.",
    ],
  },
  {
    value: "push",
    label: "Push to this browser",
    hint: "Without an app. Needs https, with a certificate that the phone trusts.",
    remedies: [
      "The browser may hold push back while its window is closed: allow it to work in the background.",
      "For the phone, open this page in the phone's browser and turn push on there.",
    ],
  },
];

/** For every phone. */
export const COMMON_REMEDIES: readonly string[] = [
  "“Do not disturb”, silent mode or a low volume of notifications mute the phone. Allow the app to break through.",
  "The system's settings must allow notifications of the app.",
];

const LETTERS = "abcdefghijkmnpqrstuvwxyz23456789";

/** A name that no one guesses: that of a public topic is its password. @param length of its random part */
export function randomTopic(prefix: string, length: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return prefix + [...bytes].map((byte) => LETTERS[byte % LETTERS.length]).join("");
}

/**
 * The link that subscribes in the app of ntfy (https://docs.ntfy.sh/subscribe/phone/#ntfy-links).
 * @returns undefined for a server that is no URL
 */
export function subscribeLink(server: string, topic: string): string | undefined {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) return undefined;
  return `ntfy://${url.host}/${encodeURIComponent(topic)}${url.protocol === "http:" ? "?secure=false" : ""}`;
}
