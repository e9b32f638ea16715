--- NVS contents and the digests of their images.
-- The images were made by nvs_partition_gen.py 0.2.0 (`generate` and `encrypt --inputkey`, with --version 1 or 2) from
-- the text of `csv`, with `files` beside it and KEYS in the file of keys; here are the MD5 digests of its output.
local M = {}

local function hex(n)
  local t = {}
  for i = 1, n do t[i] = ("%02x"):format(i * 7 + i // 256 & 0xFF) end
  return table.concat(t)
end

-- 64 bytes of keys: 1 to 64.
local keys = {}
for i = 1, 64 do keys[i] = string.char(i) end
M.KEYS = table.concat(keys)

M.HMAC_KEY = ("0123456789abcdefFEDCBA9876543210"):sub(1, 32)

local HEAD = "key,type,encoding,value\n"

local many = {}
for i = 1, 260 do many[i] = ("k%d,data,u16,%d"):format(i, i * 251) end

M.cases = {
  { name = "numbers", size = 0x3000, csv = "# a comment\n" .. HEAD .. "num,namespace,,\na,data,u8,255\nb,data,i8,-128\n"
      .. "c,data,u16,65535\nd,data,i16,-32768\ne,data,u32,4294967295\nf,data,i32,-2147483648\n"
      .. "g,data,u64,18446744073709551615\nh,data,i64,-9223372036854775808\n\n#i,data,u8,1\nj,data,u8,0\n" },
  { name = "text", size = 0x3000, csv = HEAD .. 'text,namespace,,\nempty,data,string,\nplain,data,string,hello\n'
      .. 'quoted,data,string,"a ""b"", c\nsecond line"\numlaut,data,string,größe\n'
      .. "len31,data,string," .. ("x"):rep(31) .. "\nlen32,data,string," .. ("x"):rep(32) .. "\n" },
  { name = "blobs", size = 0x4000, csv = HEAD .. "blob,namespace,,\nh,data,hex2bin,00ff10\nb64,data,base64,MTIzYWJj\n"
      .. "bin,data,binary,abc\nempty,data,hex2bin,\nfill,data,blob_fill(40;0x5A),text\n"
      .. "szfill,data,blob_sz_fill(33;0x00),text\nmax1,data,hex2bin," .. hex(1984) .. "\n" },
  { name = "files", size = 0x3000, csv = HEAD .. "f,namespace,,\nh,file,hex2bin,h.hex\nb,file,base64,b.b64\n"
      .. "s,file,string,s.txt\nr,file,binary,r.bin\n",
    files = { ["h.hex"] = "0123456789abcdef\n", ["b.b64"] = "AQIDBAUG\nBwgJ", ["s.txt"] = "from a file\r\n",
              ["r.bin"] = "\0\1\2\xFF" } },
  { name = "blobs of many pages", size = 0x8000, only = 2, csv = HEAD .. "big,namespace,,\nn,data,u8,1\nb,data,hex2bin,"
      .. hex(9000) .. "\nexact,data,hex2bin," .. hex(3968) .. "\nlast,data,u32,7\n" },
  -- 125 entries are used when the blob comes: its first part is empty.
  { name = "a blob at the end of a page", size = 0x4000, only = 2, csv = HEAD .. "e,namespace,,\n"
      .. table.concat(many, "\n", 1, 124) .. "\nb,data,hex2bin," .. hex(100) .. "\n" },
  { name = "strings that do not fit in the rest of a page", size = 0x5000, csv = HEAD .. "s,namespace,,\n"
      .. "a,data,string," .. ("a"):rep(1900) .. "\nb,data,string," .. ("b"):rep(1900) .. "\nc,data,string,"
      .. ("c"):rep(1983) .. "\n" },
  { name = "several namespaces", size = 0x6000, csv = HEAD .. "one,namespace,,\n" .. table.concat(many, "\n") .. "\n"
      .. "two,namespace,,\nk1,data,u8,1\nnothing,namespace,,\nfour,namespace,,\nk1,data,string,x\n" },
  { name = "one page", size = 0x1000, csv = HEAD .. "n,namespace,,\nk,data,u8,1\n" },
}

-- MD5 of the images: version 2, version 1, version 2 encrypted with KEYS.
M.digests = {
  numbers = { v2 = "d7b7c7516be221c618ebffccab3986e2", v1 = "97ae80b34eefe158080a86098f9e4763",
    encrypted = "f8f0d48d79504a5e80cb98efc6c1f942" },
  text = { v2 = "fe5fe0b45d729046345d8bbd0ff7ae4a", v1 = "6fe1d1d55fc330c053648f8527fd2be5",
    encrypted = "990607bd97af2852802d5a0a928983c2" },
  blobs = { v2 = "6c1d08b9f81f6016c88a4f8d86f6c08f", v1 = "a41acfaa47638314bb38dd4e1cd62ae2",
    encrypted = "c15c0a21a47231b4179f32f4de24e27f" },
  files = { v2 = "7974ea96e52a1f13399966e1173f1692", v1 = "1035652c8b3782aaf0ff7ac5227f1129",
    encrypted = "bc7574e886e62f0b8ecabd77f0fd7ad4" },
  ["blobs of many pages"] = { v2 = "2017b4c567e2034f364eb53dca0b7097",
    encrypted = "966d3928689a42b12e71fce3c917689c" },
  ["a blob at the end of a page"] = { v2 = "469b8bc3207e7bf868f21f23c5e1a03a",
    encrypted = "178b2ac72bd480d5f6c0dfc6581b7610" },
  ["strings that do not fit in the rest of a page"] = { v2 = "799db9c5e2f0ec136372e12670328abd",
    v1 = "4d6617738575104ba7cb875aba3c1875",
    encrypted = "44f055230be6c8489329a6dbac6136de" },
  ["several namespaces"] = { v2 = "3850b336cfb7a9fa30866c1c2b664656", v1 = "92185251222d0dfc1c334477ea04fafa",
    encrypted = "1ab11fa9d1d975a2159996b9b50e59e2" },
  ["one page"] = { v2 = "9ec5bbdc58e24175f0b6cac048f53b08", v1 = "8b3a052579e31eb9da4a327565e94c42",
    encrypted = "87ae5c510e9ed35895ca11e03a49b248" },
}

-- MD5 of the key page that `generate-key --key_protect_hmac --kp_hmac_inputkey` makes of HMAC_KEY.
M.HMAC_PAGE = "20b6142b3eeeb267b8525d672aafa1e2"

return M
