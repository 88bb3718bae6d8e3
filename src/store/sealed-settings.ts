import { AUDIT_KEY_SETTING } from "./audit/audit-key.ts";

/** The credentials of this server's own Pusher app. */
export const PUSHER_APP_SETTING = "pusher.app";

/** Rows of `settings` whose values are sealed. */
export const SEALED_SETTINGS = [AUDIT_KEY_SETTING, PUSHER_APP_SETTING] as const;

/** What is authenticated with the sealed value of a setting. */
export function sealedSettingPlace(key: string): string {
  return `settings.value.${key}`;
}
