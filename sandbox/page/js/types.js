/**
 * The shapes that travel between the page and the sandbox. Types only: nothing runs here.
 *
 * @typedef {{id: string, name: string, real_name: string, email?: string, title?: string, is_bot: boolean,
 *   initials: string, color: string}} User
 * @typedef {{id: string, title: string, link: string, emoji?: string}} Bookmark
 * @typedef {{id: string, name: string, is_private: boolean, is_im: boolean, is_archived: boolean, is_member: boolean,
 *   topic: string, purpose: string, user?: string, unread: number, has_mention: boolean, last_ts: string, last_read: string,
 *   members: string[], bookmarks: Bookmark[], pins: string[]}} Channel
 * @typedef {{name: string, users: string[]}} Reaction
 * @typedef {{id: string, name: string, title: string, url: string, mimetype: string, size: number, preview?: string}} FileInfo
 * @typedef {{ts: string, channel: string, user?: string, bot_id?: string, username?: string, text: string,
 *   blocks?: Block[], attachments?: object[], thread_ts?: string, reply_count: number, reply_users?: string[],
 *   latest_reply?: string, edited?: {ts: string}, reactions: Reaction[], files?: FileInfo[], subtype?: string,
 *   pinned: boolean, ephemeral: boolean}} Message
 * @typedef {{type: string, block_id?: string, [key: string]: any}} Block
 * @typedef {{id: string, type: "modal"|"home", title?: {text: string}, submit?: {text: string}, close?: {text: string},
 *   blocks: Block[], notify_on_close?: boolean, clear_on_close?: boolean, hash?: string}} View
 * @typedef {{command: string, description: string, usage_hint?: string}} Command
 * @typedef {{type: "global"|"message", name: string, callback_id: string, description: string}} Shortcut
 * @typedef {{team: {id: string, name: string}, me: User, users: User[], usergroups: {id: string, handle: string,
 *   name: string, users: string[]}[], channels: Channel[], commands: Command[], shortcuts: Shortcut[],
 *   app: {id: string, name: string, bot_user_id: string, bot_id: string, home_enabled: boolean, connected: boolean},
 *   practice: {seconds_per_minute: number}}} Boot
 *
 * Where an interactive element lives, as the sandbox wants to be told.
 * @typedef {{type: "message"|"ephemeral", channel: string, ts: string}|{type: "view", view_id: string}} Container
 *
 * What a piece of Block Kit may do to the world around it. `state` outlives re-rendering: keys are made by fieldstate.js.
 * @typedef {{container: Container, state: Map<string, object>, errors: Record<string, string>,
 *   act: (block: Block, element: object, picked: object) => Promise<void>,
 *   options: (block: Block, element: object, query: string) => Promise<{options?: object[], option_groups?: object[]}>
 * }} Surface
 */
export {};
