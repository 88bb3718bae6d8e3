/** What other features may use of `pusher`. */
export {
  type AllowsChannel,
  ChannelAuthorizers,
  type ChannelRights,
  isPublicChannel,
  maySubscribe,
  PUSHER_CHANNEL,
  userChannel,
} from "./channel-access.ts";
export { openPusherApp, type PusherApp, type PusherOwn, sharedSecretOf, signChannel, signUser } from "./pusher-app.ts";
