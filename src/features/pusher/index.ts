/** What other features may use of `pusher`. */
export {
  type AllowsChannel,
  ChannelAuthorizers,
  type ChannelRights,
  isPublicChannel,
  maySubscribe,
  userChannel,
} from "./channel-access.ts";
export { openPusherApp, type PusherApp, type PusherOwn, signChannel, signUser } from "./pusher-app.ts";
