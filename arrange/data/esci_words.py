"""The words of the sample catalogue, in English, Spanish and Japanese: categories, accessories, colours, sizes.

Titles and shoppers share two names of a category; shoppers have a third one.
"""

# ruff: noqa: RUF001 (Japanese looks like something else to it)

# A line is a category: the two names that titles have, in each language. "+": an accessory of the category above it.
_TEXT = {
    ("64GB", "128GB", "256GB", "512GB", "1TB"): """
        smartphone, mobile phone | teléfono móvil, smartphone | スマホ, スマートフォン
        + phone case, mobile cover | funda para móvil, carcasa | スマホケース, スマホカバー
        + screen protector, tempered glass | protector de pantalla, cristal templado | 保護フィルム, 液晶フィルム
        laptop, notebook computer | portátil, ordenador portátil | ノートパソコン, ノートPC
        + laptop sleeve, laptop bag | funda para portátil, maletín | パソコンバッグ, PCケース
        tablet, tablet computer | tableta, tablet | タブレット, タブレットPC
        + tablet stand, tablet holder | soporte para tableta, atril | タブレットスタンド, タブレットホルダー
        digital camera, pocket camera | cámara digital, cámara compacta | デジタルカメラ, デジカメ
        + camera strap, neck strap | correa de cámara, correa de cuello | カメラストラップ, ネックストラップ""",
    ("XS", "S", "M", "L", "XL"): """
        running shoes, trainers | zapatillas de correr, deportivas | ランニングシューズ, 運動靴
        + shoe laces, elastic laces | cordones, cordones elásticos | 靴ひも, シューレース
        + insoles, shoe inserts | plantillas, suelas interiores | インソール, 中敷き
        rain jacket, raincoat | chubasquero, impermeable | レインジャケット, 雨具
        + waterproof spray, fabric protector | spray impermeable, protector textil | 防水スプレー, 撥水スプレー
        summer dress, sundress | vestido de verano, vestido | ワンピース, サマードレス
        + waist belt, dress belt | cinturón, cinturón de vestido | ベルト, ウエストベルト
        cotton t-shirt, tee | camiseta, camiseta de algodón | Tシャツ, 綿シャツ
        winter gloves, warm gloves | guantes, guantes de invierno | 手袋, グローブ""",
    ("0.5L", "1L", "1.5L", "2L", "3L"): """
        coffee maker, coffee machine | cafetera, máquina de café | コーヒーメーカー, コーヒーマシン
        + coffee filters, paper filters | filtros de café, filtros de papel | コーヒーフィルター, ペーパーフィルター
        + descaler, limescale remover | descalcificador, antical | 洗浄剤, 水垢クリーナー
        electric kettle, water boiler | hervidor eléctrico, hervidor | 電気ケトル, 湯沸かし器
        blender, smoothie maker | batidora, licuadora | ブレンダー, ミキサー
        + blender jar, spare jug | jarra de batidora, vaso de repuesto | 替えボトル, ミキサーボトル
        lunch box, bento box | fiambrera, táper | 弁当箱, ランチボックス
        + lunch bag, cooler bag | bolsa térmica, bolsa de almuerzo | 保冷バッグ, ランチバッグ""",
    ("20cm", "40cm", "60cm", "90cm", "120cm"): """
        desk lamp, reading light | lámpara de escritorio, flexo | デスクライト, 卓上ライト
        + light bulb, led bulb | bombilla, bombilla led | 電球, LED電球
        bookshelf, bookcase | estantería, librería | 本棚, ブックシェルフ
        + bookends, book stoppers | sujetalibros, topes de libros | ブックエンド, 本立て
        area rug, carpet | alfombra, tapete | ラグ, カーペット
        + rug pad, anti slip mat | base antideslizante, antideslizante de alfombra | 滑り止めシート, ラグパッド
        throw pillow, cushion | cojín, almohadón | クッション, 座布団
        + pillow cover, cushion cover | funda de cojín, funda de almohadón | クッションカバー, 枕カバー
        wall mirror, hanging mirror | espejo de pared, espejo | 壁掛けミラー, 鏡""",
    ("12in", "16in", "20in", "24in", "28in"): """
        kids bike, childrens bicycle | bicicleta infantil, bici para niños | 子供用自転車, キッズバイク
        + bike helmet, cycling helmet | casco de bicicleta, casco infantil | 自転車ヘルメット, キッズヘルメット
        + bike lock, cycle lock | candado de bicicleta, antirrobo | 自転車ロック, 自転車の鍵
        suitcase, cabin luggage | maleta, maleta de cabina | スーツケース, キャリーケース
        + luggage tag, suitcase label | etiqueta de equipaje, identificador de maleta | ラゲッジタグ, 荷札
        yoga mat, exercise mat | esterilla de yoga, colchoneta | ヨガマット, エクササイズマット
        + yoga strap, stretching band | correa de yoga, cinta de estiramiento | ヨガベルト, ストレッチバンド
        skateboard, cruiser board | monopatín, skate | スケートボード, スケボー""",
}

# What shoppers alone call a category, which its first English name stands for: no title has these words.
_SHOPPERS = """
    smartphone: cell phone | celular | 携帯電話
    phone case: phone bumper | protector de celular | 携帯ケース
    screen protector: anti scratch film | vidrio antirrayas | 画面シール
    laptop: portable computer | computadora | ラップトップ
    laptop sleeve: computer pouch | estuche de ordenador | パソコンポーチ
    tablet: touch pad | pantalla táctil | タッチパッド
    tablet stand: desk mount | base de escritorio | 卓上台
    digital camera: photo camera | máquina de fotos | 写真機
    camera strap: shoulder sling | cinta de hombro | 肩掛けベルト
    running shoes: jogging sneakers | tenis | スニーカー
    shoe laces: shoestrings | agujetas | 結びひも
    insoles: arch supports | soportes de arco | 足裏クッション
    rain jacket: waterproof coat | abrigo de lluvia | カッパ
    waterproof spray: water repellent | repelente de agua | はっ水剤
    summer dress: beach frock | ropa de playa | 夏服
    waist belt: sash | fajín | 腰ひも
    cotton t-shirt: short sleeve top | polera | 半袖シャツ
    winter gloves: mittens | manoplas | ミトン
    coffee maker: espresso brewer | máquina de espresso | エスプレッソマシン
    coffee filters: brewing papers | papeles de colar | ろ紙
    descaler: kettle cleaner | limpiador de cal | 湯あか落とし
    electric kettle: tea pot | tetera | 湯わかしポット
    blender: juicer | exprimidor | ジューサー
    blender jar: mixing cup | vaso mezclador | ジューサーカップ
    lunch box: meal container | recipiente de comida | お弁当入れ
    lunch bag: insulated tote | nevera portátil | クーラーバッグ
    desk lamp: study light | luz de estudio | 学習ライト
    light bulb: screw in lamp | foco | 豆球
    bookshelf: book rack | librero | 本入れ
    bookends: shelf dividers | separadores de estante | 仕切り板
    area rug: floor mat | tapiz de suelo | じゅうたん
    rug pad: carpet gripper | agarre de suelo | ずれ防止マット
    throw pillow: sofa bolster | almohada de sofá | ソファ枕
    pillow cover: slipcover | forro | クッションケース
    wall mirror: looking glass | luna de pared | かがみ
    kids bike: pushbike | velocípedo | こども自転車
    bike helmet: head guard | protector de cabeza | 頭の保護具
    bike lock: theft chain | cadena de seguridad | 盗難防止チェーン
    suitcase: trolley case | valija | 旅行かばん
    luggage tag: name label | placa de nombre | 名札
    yoga mat: pilates pad | alfombra de pilates | ピラティスマット
    yoga strap: flexibility loop | lazo de flexibilidad | 柔軟バンド
    skateboard: longboard | tabla con ruedas | ロングボード
"""

COLOURS = (
    ("black", "negro", "ブラック"),
    ("white", "blanco", "ホワイト"),
    ("red", "rojo", "レッド"),
    ("blue", "azul", "ブルー"),
    ("green", "verde", "グリーン"),
    ("yellow", "amarillo", "イエロー"),
    ("grey", "gris", "グレー"),
    ("pink", "rosa", "ピンク"),
    ("brown", "marrón", "ブラウン"),
    ("purple", "morado", "パープル"),
)
SIZES = tuple(_TEXT)  # department x size
SYLLABLES = (
    "ka",
    "lo",
    "mi",
    "ven",
    "tor",
    "ra",
    "sol",
    "ne",
    "di",
    "par",
    "bu",
    "zen",
    "fi",
    "gal",
    "os",
    "tri",
    "ma",
)


def _parse() -> tuple[list[list[list[str]]], list[int], list[tuple[int, ...]]]:
    """Names (category x locale x synonym, that of shoppers last), department and accessories of each category."""
    shoppers = dict(line.strip().split(": ") for line in _SHOPPERS.strip().splitlines())
    names: list[list[list[str]]] = []
    departments: list[int] = []
    accessories: list[list[int]] = []
    main = 0
    for department, text in enumerate(_TEXT.values()):
        for number, line in enumerate(text.strip().splitlines(), start=len(names)):
            words = line.strip().removeprefix("+ ")
            written = [[name.strip() for name in part.split(",")] for part in words.split("|")]
            spoken = shoppers[written[0][0]].split(" | ")
            names.append([[*pair, third] for pair, third in zip(written, spoken, strict=True)])
            departments.append(department)
            accessories.append([])
            if words != line.strip():
                accessories[main].append(number)
            else:
                main = number
    return names, departments, [(*codes, *codes, -1, -1)[:2] for codes in accessories]


# A category has two accessories here. If it has one, both are that one; if it has none, both are -1.
CATEGORIES, DEPARTMENTS, ACCESSORIES = _parse()
