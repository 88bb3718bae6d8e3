import "./connect.css";

export { default as ChannelPage } from "./channel.tsx";
export { default as Connect } from "./connect.tsx";
export { default as NewChannel } from "./new-channel.tsx";
export { default as NewIntegration } from "./new-integration.tsx";
export { default as NewReceiver } from "./new-receiver.tsx";
export { default as ReceiverPage } from "./receiver.tsx";
