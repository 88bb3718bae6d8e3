/** The channels of a user, as preferences and contact rules name them. */
export const CHANNELS = [
  { value: "in_app", label: "Live" },
  { value: "push", label: "Push" },
  { value: "email", label: "Mail" },
  { value: "webhook", label: "Webhook" },
  { value: "service", label: "Chat and paging services" },
] as const;
export type Channel = (typeof CHANNELS)[number]["value"];
