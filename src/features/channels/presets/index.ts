import type { ChannelPreset } from "../preset.ts";
import { discord } from "./discord.ts";
import { http } from "./http.ts";
import { ntfy } from "./ntfy.ts";
import { pagerduty } from "./pagerduty.ts";
import { slack, slackApi } from "./slack.ts";
import { telegram } from "./telegram.ts";

/** The built-in presets. Loaded at the first use of a channel. */
export const PRESETS: readonly ChannelPreset[] = [discord, http, ntfy, pagerduty, slack, slackApi, telegram];
