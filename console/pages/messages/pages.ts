export { default as MessagePage } from "./message.tsx";
export { default as Messages } from "./messages.tsx";
