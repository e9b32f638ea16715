/* host.c - a host's bytes, unwrapped; the server's side of RFC 2217. */
#include "sim/host.h"

#include <string.h>
#include <termios.h>

/* Over a network the lines arrive one by one, too far apart for the capacitor that bridges the moment at
 * which both are asserted. So EN stays low until RTS is released, as a server beside the board would have it.
 */
static const double NETWORK_EN_DELAY = 5;

void sim_host_init(struct sim_host *h, int kind, struct sim_chip *chip) {
  memset(h, 0, sizeof *h);
  h->kind = kind;
  h->chip = chip;
  chip->en_delay = kind == SIM_HOST_RFC2217 ? NETWORK_EN_DELAY : chip->config.en_delay;
  chip->host_baud = kind == SIM_HOST_SOCKET ? 0 : 115200;
  telnet_init(&h->telnet);
  if (kind == SIM_HOST_RFC2217) {
    telnet_allow(&h->telnet, TELNET_BINARY, 1, 1);
    telnet_allow(&h->telnet, TELNET_SGA, 1, 1);
    telnet_allow(&h->telnet, TELNET_ECHO, 1, 0);
    telnet_allow(&h->telnet, TELNET_COM_PORT, 1, 1);
  }
}

static void put(struct sim_host *h, const uint8_t *data, size_t n) {
  if (n > sizeof h->answer - h->answer_len)
    return; /* a client that asks without reading gets no answer */
  memcpy(h->answer + h->answer_len, data, n);
  h->answer_len += n;
}

static void put_com_port(struct sim_host *h, uint8_t command, const uint8_t *data, size_t n) {
  uint8_t out[7 + 2 * 16];
  put(h, out, telnet_com_port((uint8_t)(RFC2217_SERVER + command), data, n < 16 ? n : 16, out));
}

static void set_baud(struct sim_host *h, const uint8_t *d, size_t n, double now) {
  uint32_t baud = n >= 4 ? (uint32_t)d[0] << 24 | (uint32_t)d[1] << 16 | (uint32_t)d[2] << 8 | d[3] : 0;
  if (baud)
    sim_chip_set_baud(h->chip, baud, now);
  baud = (uint32_t)h->chip->host_baud;
  uint8_t out[4] = {(uint8_t)(baud >> 24), (uint8_t)(baud >> 16), (uint8_t)(baud >> 8), (uint8_t)baud};
  put_com_port(h, RFC2217_SET_BAUDRATE, out, 4);
}

static uint8_t set_control(struct sim_host *h, uint8_t value, double now) {
  struct sim_chip *c = h->chip;
  switch (value) {
  case RFC2217_DTR_ON:
  case RFC2217_DTR_OFF:
    sim_chip_set_lines(c, value == RFC2217_DTR_ON, -1, now);
    return value;
  case RFC2217_RTS_ON:
  case RFC2217_RTS_OFF:
    sim_chip_set_lines(c, -1, value == RFC2217_RTS_ON, now);
    return value;
  case RFC2217_DTR_ASK:
    return c->dtr ? RFC2217_DTR_ON : RFC2217_DTR_OFF;
  case RFC2217_RTS_ASK:
    return c->rts ? RFC2217_RTS_ON : RFC2217_RTS_OFF;
  case RFC2217_FLOW_ASK:
    return RFC2217_FLOW_NONE;
  case RFC2217_BREAK_ASK:
    return RFC2217_BREAK_OFF;
  default:
    return value;
  }
}

/* A client that has set no mask wants to know of changes, and at first how things stand. */
static void tell_modem(struct sim_host *h) {
  static const uint8_t modem = RFC2217_CTS | RFC2217_DSR | RFC2217_DCD;
  put_com_port(h, RFC2217_NOTIFY_MODEMSTATE, &modem, 1);
  h->told_modem = 1;
}

static void com_port(struct sim_host *h, const uint8_t *d, size_t n, double now) {
  uint8_t command = n ? d[0] : 0xFF, value = n > 1 ? d[1] : 0;
  switch (command) {
  case RFC2217_SIGNATURE:
    put_com_port(h, command, (const uint8_t *)"esplua sim", 10);
    break;
  case RFC2217_SET_BAUDRATE:
    set_baud(h, d + 1, n - 1, now);
    break;
  case RFC2217_SET_DATASIZE:
    put_com_port(h, command, (const uint8_t[]){value ? value : 8}, 1);
    break;
  case RFC2217_SET_PARITY:
  case RFC2217_SET_STOPSIZE:
    put_com_port(h, command, (const uint8_t[]){value ? value : 1}, 1);
    break;
  case RFC2217_SET_CONTROL:
    put_com_port(h, command, (const uint8_t[]){set_control(h, value, now)}, 1);
    break;
  case RFC2217_PURGE_DATA:
    if (value != RFC2217_PURGE_TX)
      sim_chip_drop_received(h->chip, now);
    put_com_port(h, command, &value, 1);
    break;
  case RFC2217_SET_LINESTATE_MASK:
    put_com_port(h, command, &value, 1);
    break;
  case RFC2217_SET_MODEMSTATE_MASK:
    put_com_port(h, command, &value, 1);
    h->told_modem = 0;
    break;
  case RFC2217_NOTIFY_MODEMSTATE:
    h->told_modem = 0;
    break;
  default:
    break;
  }
  if (!h->told_modem)
    tell_modem(h);
}

void sim_host_input(struct sim_host *h, const uint8_t *data, size_t n, double now) {
  uint8_t plain[1024], answer[3];
  if (h->kind != SIM_HOST_RFC2217) {
    sim_chip_input(h->chip, data, n, now);
    return;
  }
  while (n > 0) {
    struct telnet_event e;
    size_t count, part = n < sizeof plain ? n : sizeof plain;
    size_t used = telnet_decode(&h->telnet, data, part, plain, &count, &e);
    if (count > 0)
      sim_chip_input(h->chip, plain, count, now);
    if (e.kind == TELNET_OPTION)
      put(h, answer, telnet_answer(&h->telnet, &e, answer));
    else if (e.kind == TELNET_SUBNEGOTIATION && e.option == TELNET_COM_PORT)
      com_port(h, e.data, e.size, now);
    data += used, n -= used;
    if (used == 0)
      return;
  }
}

size_t sim_host_output(struct sim_host *h, uint8_t *out, size_t max, double now) {
  if (h->kind != SIM_HOST_RFC2217)
    return sim_chip_output(h->chip, out, max, now);
  uint8_t plain[1024];
  size_t used, len = h->answer_len < max ? h->answer_len : max;
  memcpy(out, h->answer, len);
  memmove(h->answer, h->answer + len, h->answer_len - len);
  h->answer_len -= len;
  size_t room = (max - len) / 2; /* every byte may be doubled */
  size_t n = sim_chip_output(h->chip, plain, room < sizeof plain ? room : sizeof plain, now);
  return len + telnet_escape(plain, n, out + len, max - len, &used);
}

double sim_host_rate(unsigned long speed) {
  static const struct {
    unsigned long code;
    double baud;
  } rates[] = {{B9600, 9600},       {B19200, 19200},     {B38400, 38400},     {B57600, 57600},
               {B115200, 115200},   {B230400, 230400},   {B460800, 460800},   {B500000, 500000},
               {B576000, 576000},   {B921600, 921600},   {B1000000, 1000000}, {B1152000, 1152000},
               {B1500000, 1500000}, {B2000000, 2000000}, {B2500000, 2500000}, {B3000000, 3000000},
               {B3500000, 3500000}, {B4000000, 4000000}};
  for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++)
    if (rates[i].code == speed)
      return rates[i].baud;
  return 0;
}
