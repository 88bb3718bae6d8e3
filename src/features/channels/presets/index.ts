import type { ChannelPreset } from "../preset.ts";
import { apprise } from "./apprise.ts";
import { discord } from "./discord.ts";
import { googleChat } from "./google-chat.ts";
import { gotify } from "./gotify.ts";
import { http } from "./http.ts";
import { matrix } from "./matrix.ts";
import { mattermost, mattermostApi } from "./mattermost.ts";
import { line, signal, threema } from "./messengers.ts";
import { ntfy } from "./ntfy.ts";
import { incidentIo, jira, opsgenie, signl4, splunkOnCall } from "./on-call.ts";
import { pagerduty } from "./pagerduty.ts";
import { bark, prowl, pushbullet, pushsafer, simplepush } from "./push.ts";
import { pushover } from "./pushover.ts";
import { rocketChat, rocketChatApi } from "./rocket-chat.ts";
import { homeAssistant, nextcloudTalk, synologyChat } from "./self-hosted.ts";
import { slack, slackApi } from "./slack.ts";
import { sms, vonage } from "./sms.ts";
import { teams } from "./teams.ts";
import { telegram } from "./telegram.ts";
import { twilioSms, twilioVoice } from "./twilio.ts";
import { webex } from "./webex.ts";
import { whatsapp } from "./whatsapp.ts";
import { dingtalk, lark, wecom } from "./work-chat.ts";
import { zulip } from "./zulip.ts";

/** The built-in presets. Loaded at the first use of a channel. */
export const PRESETS: readonly ChannelPreset[] = [
  ...[
    discord,
    googleChat,
    matrix,
    mattermost,
    mattermostApi,
    rocketChat,
    rocketChatApi,
    slack,
    slackApi,
    teams,
    telegram,
  ],
  ...[webex, zulip, dingtalk, lark, nextcloudTalk, synologyChat, wecom],
  ...[gotify, line, ntfy, pushover, signal, whatsapp],
  ...[bark, homeAssistant, prowl, pushbullet, pushsafer, simplepush, threema],
  ...[pagerduty, opsgenie, incidentIo, jira, signl4, splunkOnCall],
  ...[twilioSms, twilioVoice, vonage, sms],
  ...[apprise, http],
];
