/** Shortcodes to native emoji: those a bot or a colleague in an incident would use. Unknown ones stay readable as `:code:`. */

const TABLE = `
white_check_mark ✅|heavy_check_mark ✔️|ballot_box_with_check ☑️|x ❌|negative_squared_cross_mark ❎|no_entry ⛔|no_entry_sign 🚫
warning ⚠️|rotating_light 🚨|fire 🔥|fire_extinguisher 🧯|fire_engine 🚒|ambulance 🚑|sos 🆘|octagonal_sign 🛑|stop_sign 🛑|construction 🚧|boom 💥|collision 💥
red_circle 🔴|large_orange_circle 🟠|large_yellow_circle 🟡|large_green_circle 🟢|large_blue_circle 🔵|large_purple_circle 🟣|white_circle ⚪|black_circle ⚫
large_red_square 🟥|large_orange_square 🟧|large_yellow_square 🟨|large_green_square 🟩|large_blue_square 🟦|white_large_square ⬜|black_large_square ⬛
white_small_square ▫️|black_small_square ▪️|large_green_circle 🟢|large_red_circle 🔴|small_red_triangle 🔺|small_red_triangle_down 🔻|small_orange_diamond 🔸|small_blue_diamond 🔹
question ❓|grey_question ❔|exclamation ❗|grey_exclamation ❕|bangbang ‼️|interrobang ⁉️|information_source ℹ️|speech_balloon 💬|thought_balloon 💭
hourglass ⌛|hourglass_flowing_sand ⏳|stopwatch ⏱️|timer_clock ⏲️|alarm_clock ⏰|clock1 🕐|clock3 🕒|mantelpiece_clock 🕰️|calendar 📆|date 📅|spiral_calendar_pad 🗓️
pushpin 📌|round_pushpin 📍|bookmark 🔖|paperclip 📎|link 🔗|memo 📝|pencil 📝|pencil2 ✏️|clipboard 📋|page_facing_up 📄|scroll 📜|book 📖|books 📚|notebook 📓|file_folder 📁|card_index_dividers 🗂️|package 📦|inbox_tray 📥|outbox_tray 📤
bar_chart 📊|chart_with_upwards_trend 📈|chart_with_downwards_trend 📉|mag 🔍|mag_right 🔎|microscope 🔬|telescope 🔭|satellite_antenna 📡|globe_with_meridians 🌐|earth_africa 🌍|cloud ☁️|zap ⚡|high_voltage ⚡
telephone_receiver 📞|phone ☎️|telephone ☎️|iphone 📱|calling 📲|pager 📟|email ✉️|envelope ✉️|e-mail 📧|mailbox 📫|bell 🔔|no_bell 🔕|loudspeaker 📢|mega 📣|speaker 🔈|mute 🔇|microphone 🎤
lock 🔒|unlock 🔓|closed_lock_with_key 🔐|key 🔑|old_key 🗝️|shield 🛡️|hammer 🔨|hammer_and_wrench 🛠️|wrench 🔧|nut_and_bolt 🔩|gear ⚙️|toolbox 🧰|test_tube 🧪|syringe 💉|adhesive_bandage 🩹|pill 💊|stethoscope 🩺
computer 💻|desktop_computer 🖥️|keyboard ⌨️|floppy_disk 💾|cd 💿|file_cabinet 🗄️|card_file_box 🗃️|wastebasket 🗑️|electric_plug 🔌|battery 🔋|bulb 💡|robot_face 🤖|snake 🐍|whale 🐳|elephant 🐘|penguin 🐧|bug 🐛|beetle 🐞|ghost 👻|skull 💀|alien 👽
rocket 🚀|airplane ✈️|ship 🚢|anchor ⚓|traffic_light 🚦|vertical_traffic_light 🚦|checkered_flag 🏁|triangular_flag_on_post 🚩|white_flag 🏳️|dart 🎯|trophy 🏆|medal 🏅|tada 🎉|confetti_ball 🎊|sparkles ✨|star ⭐|star2 🌟|sunny ☀️|rainbow 🌈|snowflake ❄️|umbrella ☔|ocean 🌊
arrow_up ⬆️|arrow_down ⬇️|arrow_left ⬅️|arrow_right ➡️|arrow_upper_right ↗️|arrow_right_hook ↪️|leftwards_arrow_with_hook ↩️|arrows_counterclockwise 🔄|repeat 🔁|twisted_rightwards_arrows 🔀|arrow_forward ▶️|double_vertical_bar ⏸️|pause_button ⏸️|black_square_for_stop ⏹️|stop_button ⏹️|fast_forward ⏩|rewind ⏪|play_or_pause_button ⏯️|track_next ⏭️|heavy_plus_sign ➕|heavy_minus_sign ➖|heavy_multiplication_x ✖️|new 🆕|ok 🆗|cool 🆒|up 🆙|free 🆓|recycle ♻️|infinity ♾️
one 1️⃣|two 2️⃣|three 3️⃣|four 4️⃣|five 5️⃣|six 6️⃣|seven 7️⃣|eight 8️⃣|nine 9️⃣|zero 0️⃣|keycap_ten 🔟|hash #️⃣|100 💯
eyes 👀|eye 👁️|wave 👋|raised_hands 🙌|raised_hand ✋|hand ✋|clap 👏|pray 🙏|handshake 🤝|muscle 💪|point_up ☝️|point_right 👉|point_left 👈|point_down 👇|point_up_2 👆|ok_hand 👌|+1 👍|thumbsup 👍|-1 👎|thumbsdown 👎|fist ✊|v ✌️|crossed_fingers 🤞|salute 🫡|saluting_face 🫡
busts_in_silhouette 👥|bust_in_silhouette 👤|people_holding_hands 🧑‍🤝‍🧑|crown 👑|detective 🕵️|sleuth_or_spy 🕵️|firefighter 🧑‍🚒|construction_worker 👷|cop 👮|doctor 🧑‍⚕️|technologist 🧑‍💻|scientist 🧑‍🔬|rescue_worker_helmet ⛑️|helmet_with_white_cross ⛑️
smile 😄|slightly_smiling_face 🙂|grin 😁|joy 😂|laughing 😆|sweat_smile 😅|wink 😉|blush 😊|heart_eyes 😍|sunglasses 😎|thinking_face 🤔|face_with_raised_eyebrow 🤨|neutral_face 😐|grimacing 😬|cry 😢|sob 😭|scream 😱|sweat 😓|cold_sweat 😰|disappointed_relieved 😥|rage 😡|angry 😠|sleeping 😴|zzz 💤|exploding_head 🤯|melting_face 🫠|face_palm 🤦|facepalm 🤦|shrug 🤷|upside_down_face 🙃|nerd_face 🤓|face_with_thermometer 🤒|mask 😷|partying_face 🥳|heart ❤️|orange_heart 🧡|yellow_heart 💛|green_heart 💚|blue_heart 💙|purple_heart 💜|broken_heart 💔
coffee ☕|tea 🍵|pizza 🍕|cake 🍰|birthday 🎂|beer 🍺|seedling 🌱|herb 🌿|four_leaf_clover 🍀|moneybag 💰|dollar 💵|credit_card 💳|bank 🏦|office 🏢|hospital 🏥|house 🏠|classical_building 🏛️|factory 🏭|world_map 🗺️|compass 🧭|ladder 🪜|brick 🧱|bricks 🧱|ice_cube 🧊|droplet 💧|dash 💨|hole 🕳️|bomb 💣|crystal_ball 🔮|puzzle_piece 🧩|jigsaw 🧩|sponge 🧽|broom 🧹|soap 🧼|basket 🧺|dna 🧬|abacus 🧮|scales ⚖️|chains ⛓️|magnet 🧲|balloon 🎈|gift 🎁|ticket 🎫|label 🏷️|newspaper 📰|loop ➿|left_right_arrow ↔️|arrow_up_down ↕️|end 🔚|soon 🔜|back 🔙|on 🔛|top 🔝
`;

const CODES = new Map(
  TABLE.trim()
    .split(/[|\n]/)
    .map((entry) => {
      const at = entry.lastIndexOf(" ");
      return [entry.slice(0, at), entry.slice(at + 1)];
    }),
);

/** What people reach for first in the reaction picker. */
export const FAVOURITES = [
  "white_check_mark",
  "eyes",
  "+1",
  "pushpin",
  "raised_hands",
  "rotating_light",
  "fire",
  "thinking_face",
  "tada",
  "heart",
];

/** The emoji for a shortcode (without colons; skin tones are ignored), or null when the table does not know it. */
export function emoji(code) {
  return CODES.get(code.split("::")[0]) ?? null;
}

/** The emoji, or the `:code:` itself. */
export const emojiOr = (code) => emoji(code) ?? `:${code}:`;

/** Shortcodes that contain `part`, best first. */
export function findEmoji(part, limit = 8) {
  const wanted = part.toLowerCase();
  const hits = [...CODES.keys()].filter((code) => code.includes(wanted));
  hits.sort((a, b) => Number(b.startsWith(wanted)) - Number(a.startsWith(wanted)) || a.length - b.length);
  return hits.slice(0, limit);
}
