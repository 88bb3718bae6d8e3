/** The part of `pusher` that other features may use. */
export {
  type AllowsChannel,
  ChannelAuthorizers,
  type ChannelRights,
  isPublicChannel,
  maySubscribe,
  userChannel,
} from "./channel-access.ts";
export {
  type PusherApp,
  signChannel,
  signUser,
} from "./pusher-app.ts";
