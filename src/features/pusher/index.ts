/** What other features may use of `pusher`. */
export { type ChannelRights, isPublicChannel, maySubscribe, PUSHER_CHANNEL, userChannel } from "./channel-access.ts";
export { type AllowsChannel, ChannelAuthorizers } from "./channel-authorizers.ts";
export { openPusherApp, type PusherApp, sharedSecretOf, signChannel, signUser } from "./pusher-app.ts";
