import { discordWebhook } from "./presets/discord.ts";
import { httpServer } from "./presets/http.ts";
import { ntfyServer } from "./presets/ntfy.ts";
import { pagerdutyEvents } from "./presets/pagerduty.ts";
import { slackBot, slackWebhook } from "./presets/slack.ts";
import { telegramBot } from "./presets/telegram.ts";
import { channelContract } from "./support/contract.ts";

for (const service of [discordWebhook, httpServer, ntfyServer, pagerdutyEvents, slackBot, slackWebhook, telegramBot])
  channelContract(service);
