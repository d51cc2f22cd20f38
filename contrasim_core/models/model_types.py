"""Types of models as `model_type` in a config.json names them: literal and sorted, so that no library is imported.

A test compares the tables with the installed transformers, and says which names to add or remove.
"""

from __future__ import annotations

DECODERS = (
    "afmoe", "apertus", "arcee", "aria_text", "axk1", "axk2", "bailing_hybrid", "bamba", "beam", "bert-generation",
    "bigbird_pegasus", "biogpt", "bitnet", "blenderbot", "blenderbot-small", "bloom", "blt", "codegen", "cohere",
    "cohere2", "cohere2_moe", "cohere_compass_text", "cpmant", "ctrl", "cwm", "dbrx", "deepseek_v2", "deepseek_v3",
    "deepseek_v32", "deepseek_v4", "diffllama", "doge", "dots1", "dots3_note", "dots3_note_text", "emu3", "ernie4_5",
    "ernie4_5_moe", "exaone4", "exaone_moe", "falcon", "falcon_h1", "falcon_mamba", "flex_olmo", "flint", "fuyu",
    "gemma", "gemma2", "gemma3", "gemma3_text", "gemma3n", "gemma3n_text", "gemma4", "gemma4_assistant",
    "gemma4_text", "gemma4_unified", "gemma4_unified_assistant", "gemma4_unified_text", "git", "glm", "glm4",
    "glm4_moe", "glm4_moe_lite", "glm_moe_dsa", "got_ocr2", "gpt-sw3", "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox",
    "gpt_neox_japanese", "gpt_oss", "gptj", "granite", "granite_swa", "granitemoe", "granitemoe_swa",
    "granitemoehybrid", "granitemoeshared", "helium", "hrm_text", "hunyuan_v1_dense", "hunyuan_v1_moe", "hy_v3",
    "hy_v4", "hyperclovax", "inkling2_text", "inkling_text", "internlm3", "iquestcoder", "jais2", "jamba", "jetmoe",
    "kimi_linear", "kolibri1", "laguna", "lfm2", "lfm2_moe", "lfm3", "llama", "llama4", "llama4_text",
    "longcat_flash", "mamba", "mamba2", "marian", "mellum", "mimo_v2_flash", "minicpm3", "minimax", "minimax_m2",
    "minimax_m3_vl_text", "ministral", "ministral3", "mistral", "mixtral", "mllama", "modernbert-decoder", "moshi",
    "moss_transcribe_diarize", "mpt", "musicgen", "musicgen_melody", "nanochat", "nemotron", "nemotron_h", "olmo",
    "olmo2", "olmo3", "olmo_hybrid", "olmoe", "openai-gpt", "opt", "pegasus", "persimmon", "phi", "phi3",
    "phi4_multimodal", "phimoe", "plbart", "prophetnet", "qwen2", "qwen2_moe", "qwen3", "qwen3_5", "qwen3_5_moe",
    "qwen3_5_moe_text", "qwen3_5_text", "qwen3_moe", "qwen3_next", "qwen4_exp", "qwen4_exp_text", "recurrent_gemma",
    "rwkv", "seed_oss", "smollm3", "solar_open", "stablelm", "starcoder2", "trocr", "vaultgemma", "whisper", "xglm",
    "xlnet", "xlstm", "youtu", "zamba", "zamba2", "zaya",
)  # fmt: skip
"""Text models that read from left to right: causal language models that are no masked ones."""

CAUSAL_TOWERS = (
    "aimv2_text_model", "clip_text_model", "clipseg_text_model", "groupvit_text_model", "kosmos_2_5_text_model",
    "kosmos_2_text_model", "metaclip_2_text_model", "owlv2_text_model", "owlvit_text_model", "xclip_text_model",
)  # fmt: skip
"""Text towers as in CLIP: they read from left to right, and their last token stands for the text."""

LAST_TOKEN_TOWERS = (
    "siglip2_text_model", "siglip_text_model",
)  # fmt: skip
"""Text towers that read in both directions, and whose last token stands for the text."""

WITH_CLASS_TOKEN = (
    "aimv2_vision_model", "altclip_vision_model", "beit", "blip-2", "blip_vision_model", "bridgetower_vision_model",
    "chinese_clip_vision_model", "clip_vision_model", "clipseg_vision_model", "data2vec-vision", "deit", "depth_pro",
    "dinov2", "dinov2_with_registers", "dinov3_vit", "dpt", "inkling2_vision", "instructblip", "instructblipvideo",
    "internvl_vision", "kosmos-2", "kosmos_2_vision_model", "metaclip_2_vision_model", "mgp-str", "mlcd",
    "mlcd_vision_model", "owlv2_vision_model", "owlvit_vision_model", "pixio", "qianfan_ocr_vision", "rf_detr",
    "sapiens2", "timesformer", "tipsv2_vision_model", "vit", "vit_mae", "vit_msn", "vivit", "xclip_vision_model",
    "yolos",
)  # fmt: skip
"""Image models whose first position is a class token, in every layer."""

WITHOUT_CLASS_TOKEN = (
    "align_vision_model", "bit", "conditional_detr", "contrasim-allconv", "convnext", "convnextv2",
    "cosmos3_edge_vision", "cvt", "d_fine", "dab-detr", "deformable_detr", "deimv2", "detr", "dinat",
    "dinov3_convnext", "donut-swin", "edgetam", "edgetam_video", "edgetam_vision_model", "efficientloftr",
    "efficientnet", "focalnet", "gemma3n_vision", "glm_image_vision", "glpn", "granite_docling_vision",
    "grounding-dino", "groupvit_vision_model", "hgnet_v2", "hiera", "hunyuan_vl_vision", "idefics2_vision",
    "idefics3_vision", "ijepa", "kosmos_2_5_vision_model", "levit", "lightglue", "lw_detr", "mask2former",
    "maskformer", "maskformer-swin", "minicpm_ocr_vision", "minicpmv4_7_vision", "mm-grounding-dino", "mobilenet_v1",
    "mobilenet_v2", "mobilevit", "mobilevitv2", "muse_glimmer_vision", "muse_spark_vision", "omdet-turbo", "pixtral",
    "poolformer", "pp_doclayout_v3", "pp_doclayout_v4", "pp_ocrv5_mobile_rec", "pp_ocrv5_server_rec",
    "pp_ocrv6_medium_det", "pp_ocrv6_small_det", "pp_ocrv6_small_rec", "pp_ocrv6_tiny_rec", "pvt", "pvt_v2", "radio",
    "regnet", "resnet", "rt_detr", "rt_detr_v2", "sam", "sam2", "sam2_hiera_det_model", "sam2_video",
    "sam2_vision_model", "sam3", "sam3_lite_text", "sam3_lite_text_text_model", "sam3_tracker", "sam3_tracker_video",
    "sam3_video", "sam3_vision_model", "sam3_vit_model", "sam_hq", "sam_hq_vision_model", "sam_vision_model",
    "segformer", "seggpt", "siglip2_vision_model", "siglip_vision_model", "smolvlm_vision", "swiftformer", "swin",
    "swin2sr", "swinv2", "table-transformer", "textnet", "timm_backbone", "timm_wrapper", "uvdoc",
    "video_llama_3_vision", "videomae", "vitdet",
)  # fmt: skip
"""Image models without one: ConvNets, and transformers that have none, or only in their last stage."""
