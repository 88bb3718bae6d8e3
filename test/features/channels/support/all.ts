import { appriseApi } from "../presets/apprise.ts";
import { discordWebhook } from "../presets/discord.ts";
import { googleChatWebhook } from "../presets/google-chat.ts";
import { gotifyServer } from "../presets/gotify.ts";
import { httpServer } from "../presets/http.ts";
import { matrixServer } from "../presets/matrix.ts";
import { mattermostBot, mattermostHook } from "../presets/mattermost.ts";
import { lineApi, signalCli, threemaGateway, whatsappCloud } from "../presets/messengers.ts";
import { ntfyServer } from "../presets/ntfy.ts";
import { incidentIoSource, jiraSite, opsgenieApi, signl4Team, splunkEndpoint } from "../presets/on-call.ts";
import { pagerdutyEvents } from "../presets/pagerduty.ts";
import { barkServer, prowlApi, pushbulletApi, pushsaferApi, simplepushApi } from "../presets/push.ts";
import { pushoverApi } from "../presets/pushover.ts";
import { rocketChatHook, rocketChatUser } from "../presets/rocket-chat.ts";
import { homeAssistantServer, nextcloudTalkServer, synologyChatServer } from "../presets/self-hosted.ts";
import { slackBot, slackWebhook } from "../presets/slack.ts";
import { smsGateway, vonageSms } from "../presets/sms.ts";
import { teamsWorkflow } from "../presets/teams.ts";
import { telegramBot } from "../presets/telegram.ts";
import { twilioCalls, twilioMessages } from "../presets/twilio.ts";
import { webexApi } from "../presets/webex.ts";
import { dingtalkRobot, larkBot, wecomRobot } from "../presets/work-chat.ts";
import { zulipServer } from "../presets/zulip.ts";
import type { Service } from "./stand-in.ts";

const chat = [googleChatWebhook, matrixServer, mattermostBot, mattermostHook, rocketChatHook, rocketChatUser];
const moreChat = [teamsWorkflow, webexApi, zulipServer, dingtalkRobot, larkBot, wecomRobot];
const selfHosted = [nextcloudTalkServer, synologyChatServer, homeAssistantServer, gotifyServer, appriseApi];
const push = [pushoverApi, barkServer, prowlApi, pushbulletApi, pushsaferApi, simplepushApi];
const messengers = [lineApi, signalCli, threemaGateway, whatsappCloud];
const onCall = [opsgenieApi, incidentIoSource, jiraSite, signl4Team, splunkEndpoint];
const sms = [twilioMessages, twilioCalls, vonageSms, smsGateway];
const first = [discordWebhook, httpServer, ntfyServer, pagerdutyEvents, slackBot, slackWebhook, telegramBot];

/** Stand-ins whose contract runs in services.test.ts. */
export const MORE_SERVICES: readonly (() => Service)[] = [
  ...[...chat, ...moreChat, ...selfHosted],
  ...[...push, ...messengers, ...onCall, ...sms],
];

/** A stand-in for every preset. */
export const SERVICES: readonly (() => Service)[] = [...first, ...MORE_SERVICES];
