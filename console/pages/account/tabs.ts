export const ACCOUNT_TABS = [
  { value: "profile", label: "Profile", path: "/account" },
  { value: "security", label: "Security", path: "/account/security" },
  { value: "tokens", label: "Service tokens", path: "/account/tokens" },
  { value: "notifications", label: "Notifications", path: "/account/notifications" },
  { value: "device", label: "This device", path: "/account/device" },
  { value: "appearance", label: "Appearance", path: "/account/appearance" },
] as const;
export type AccountTab = (typeof ACCOUNT_TABS)[number]["value"];
