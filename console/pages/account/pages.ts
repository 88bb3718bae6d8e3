export { default as Appearance } from "./appearance.tsx";
export { default as Device } from "./device.tsx";
export { default as NotificationPreferences } from "./preferences.tsx";
export { default as Profile } from "./profile.tsx";
export { default as Security } from "./security.tsx";
export { default as Tokens } from "./tokens.tsx";
