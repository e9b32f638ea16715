/* telnet.c - see telnet.h. */
#include "telnet.h"

#include <string.h>

enum { DATA, IAC, NEGOTIATE, SUB, SUB_IAC };

void telnet_init(struct telnet *t) {
  memset(t, 0, sizeof *t);
}

void telnet_allow(struct telnet *t, int option, int us, int him) {
  uint8_t bit = (uint8_t)(1 << (option & 7));
  size_t byte = (size_t)(option & 0xFF) / 8;
  if (us)
    t->may_us[byte] |= bit;
  if (him)
    t->may_him[byte] |= bit;
}

static int allowed(const uint8_t *set, uint8_t option) {
  return set[option / 8] >> (option & 7) & 1;
}

/* A byte behind IAC, outside a subnegotiation. */
static void command(struct telnet *t, uint8_t c, struct telnet_event *e) {
  t->state = DATA;
  if (c == TELNET_SB) {
    t->state = SUB;
    t->sub_size = 0;
  } else if (c >= TELNET_WILL && c <= TELNET_DONT) {
    t->state = NEGOTIATE;
    t->command = c;
  } else if (c != TELNET_SE) { /* an end without a beginning is ignored */
    e->kind = TELNET_COMMAND;
    e->command = c;
  }
}

static void sub_byte(struct telnet *t, uint8_t c) {
  if (t->sub_size < TELNET_SUB_MAX)
    t->sub[t->sub_size++] = c;
  else
    t->sub_size = TELNET_SUB_MAX + 1;
}

static void sub_end(struct telnet *t, struct telnet_event *e) {
  t->state = DATA;
  if (t->sub_size < 1 || t->sub_size > TELNET_SUB_MAX)
    return;
  e->kind = TELNET_SUBNEGOTIATION;
  e->command = TELNET_SB;
  e->option = t->sub[0];
  e->data = t->sub + 1;
  e->size = t->sub_size - 1;
}

size_t telnet_decode(struct telnet *t, const uint8_t *in, size_t n, uint8_t *out, size_t *count,
                     struct telnet_event *e) {
  size_t i = 0, data = 0;
  *e = (struct telnet_event){TELNET_NOTHING, 0, 0, NULL, 0};
  while (i < n && e->kind == TELNET_NOTHING) {
    uint8_t c = in[i++];
    switch (t->state) {
    case DATA:
      if (c == TELNET_IAC)
        t->state = IAC;
      else
        out[data++] = c;
      break;
    case IAC:
      if (c == TELNET_IAC) {
        t->state = DATA;
        out[data++] = c;
      } else {
        command(t, c, e);
      }
      break;
    case NEGOTIATE:
      t->state = DATA;
      e->kind = TELNET_OPTION;
      e->command = t->command;
      e->option = c;
      break;
    case SUB:
      if (c == TELNET_IAC)
        t->state = SUB_IAC;
      else
        sub_byte(t, c);
      break;
    default: /* SUB_IAC */
      t->state = SUB;
      if (c == TELNET_IAC)
        sub_byte(t, c);
      else if (c == TELNET_SE)
        sub_end(t, e);
      else /* the end was lost: take the command */
        command(t, c, e);
    }
  }
  *count = data;
  return i;
}

static size_t put(uint8_t *out, int command_byte, int option) {
  out[0] = TELNET_IAC;
  out[1] = (uint8_t)command_byte;
  out[2] = (uint8_t)option;
  return 3;
}

/* One direction of an option: the other side wants it on or off. */
static size_t settle(uint8_t *state, int on, int may, int yes, int no, uint8_t option, uint8_t *out) {
  int was = *state;
  if (on) {
    if (was == TELNET_OPTION_ON)
      return 0;
    *state = may || was == TELNET_OPTION_ASKED ? TELNET_OPTION_ON : TELNET_OPTION_REFUSED;
    if (was == TELNET_OPTION_ASKED)
      return 0; /* that was the answer */
    return put(out, *state == TELNET_OPTION_ON ? yes : no, option);
  }
  *state = TELNET_OPTION_REFUSED;
  return was == TELNET_OPTION_ON ? put(out, no, option) : 0;
}

size_t telnet_answer(struct telnet *t, const struct telnet_event *e, uint8_t out[3]) {
  uint8_t o = e->option;
  switch (e->command) {
  case TELNET_DO:
  case TELNET_DONT:
    return settle(&t->us[o], e->command == TELNET_DO, allowed(t->may_us, o), TELNET_WILL, TELNET_WONT, o,
                  out);
  case TELNET_WILL:
  case TELNET_WONT:
    return settle(&t->him[o], e->command == TELNET_WILL, allowed(t->may_him, o), TELNET_DO, TELNET_DONT, o,
                  out);
  default:
    return 0;
  }
}

size_t telnet_ask(struct telnet *t, int command_byte, int option, uint8_t out[3]) {
  uint8_t *state = command_byte == TELNET_WILL ? t->us : t->him;
  state[option & 0xFF] = TELNET_OPTION_ASKED;
  return put(out, command_byte, option);
}

size_t telnet_escape(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *used) {
  size_t i = 0, o = 0;
  for (; i < n; i++) {
    size_t need = in[i] == TELNET_IAC ? 2 : 1;
    if (room - o < need)
      break;
    out[o++] = in[i];
    if (need == 2)
      out[o++] = TELNET_IAC;
  }
  *used = i;
  return o;
}

size_t telnet_com_port(uint8_t command_byte, const uint8_t *data, size_t n, uint8_t *out) {
  size_t used, o = 0;
  out[o++] = TELNET_IAC;
  out[o++] = TELNET_SB;
  out[o++] = TELNET_COM_PORT;
  out[o++] = command_byte; /* never 255 */
  o += telnet_escape(data, n, out + o, 2 * n, &used);
  out[o++] = TELNET_IAC;
  out[o++] = TELNET_SE;
  return o;
}
