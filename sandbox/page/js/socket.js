/** A websocket that comes back: the owner is told when it is up (time to fetch again) and when it is down. */

const FIRST_WAIT = 300;
const LONGEST_WAIT = 4000;

/**
 * @param {string} url
 * @param {{up: () => void, down: () => void, event: (event: any) => void}} owner `up` is called after every (re)connect
 * @returns {{close: () => void}}
 */
export function keepSocket(url, owner) {
  let socket = null;
  let timer = 0;
  let wait = FIRST_WAIT;
  let closed = false;

  function open() {
    socket = new WebSocket(url);
    socket.onopen = () => {
      wait = FIRST_WAIT;
      owner.up();
    };
    socket.onmessage = (frame) => owner.event(JSON.parse(frame.data));
    socket.onclose = () => {
      if (closed) return;
      owner.down();
      timer = setTimeout(open, wait);
      wait = Math.min(wait * 1.6, LONGEST_WAIT);
    };
  }

  const hurry = () => {
    if (closed || socket?.readyState === WebSocket.OPEN || socket?.readyState === WebSocket.CONNECTING) return;
    clearTimeout(timer);
    open();
  };
  addEventListener("online", hurry);
  open();
  return {
    close() {
      closed = true;
      clearTimeout(timer);
      removeEventListener("online", hurry);
      socket?.close();
    },
  };
}
