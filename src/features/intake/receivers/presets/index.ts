import type { ReceiverPreset } from "../preset.ts";
import { alertmanager } from "./alertmanager.ts";
import { CHAT_PRESETS } from "./chat.ts";
import { DELIVERY_PRESETS } from "./delivery.ts";
import { FORMAT_PRESETS } from "./formats.ts";
import { formattedWebhook } from "./formatted-webhook.ts";
import { generic } from "./generic.ts";
import { GIT_PRESETS } from "./github.ts";
import { gitlab } from "./gitlab.ts";
import { grafana } from "./grafana.ts";
import { HOMELAB_PRESETS } from "./homelab.ts";
import { mail } from "./mail.ts";
import { MONITORING_PRESETS } from "./monitoring.ts";
import { pagerduty } from "./pagerduty.ts";
import { sentry } from "./sentry.ts";
import { SERVICE_PRESETS } from "./services.ts";
import { UPTIME_PRESETS } from "./uptime.ts";

/** All built-in presets, in the order in which they are listed. Imported at first use. */
export const BUILT_IN_PRESETS: readonly ReceiverPreset[] = [
  alertmanager,
  grafana,
  ...UPTIME_PRESETS,
  ...MONITORING_PRESETS,
  ...HOMELAB_PRESETS,
  ...GIT_PRESETS,
  gitlab,
  sentry,
  pagerduty,
  ...DELIVERY_PRESETS,
  ...SERVICE_PRESETS,
  ...FORMAT_PRESETS,
  formattedWebhook,
  ...CHAT_PRESETS,
  mail,
  generic,
];
